"""Slots: the resources of a trial, how many fit, and the study's quota on a shared cluster."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from cluster.quota import Load, QuotaClient, QuotaRequest
from cluster.quota.allocate import NodeCapacity, to_units
from study.config.schema import Resources
from study.engine.coordinator import TrialCoordinator
from study.engine.protocol import ExecutionContext

_GIB: Final = 2**30
# Ray counts in steps of 0.0001 and rounds: only six trials of 0.1429 fit on a GPU.
_RESOURCE_STEPS: Final = 10_000


def ray_resources(resources: Resources) -> dict[str, float]:
    """Return the resources by Ray's names, without zeros.

    A share of a GPU is rounded down to steps of Ray, so that n trials of 1/n fit on one.

    Example:
        >>> ray_resources(Resources(gpus=1 / 7, memory_gib=2, custom={"rtx4090": 1.0}))
        {'CPU': 1.0, 'GPU': 0.1428, 'memory': 2147483648.0, 'rtx4090': 1.0}
    """
    amounts = {
        "CPU": float(resources.cpus),
        # Exact multiples of a step stay as they are.
        "GPU": math.floor(resources.gpus * _RESOURCE_STEPS + 1e-6) / _RESOURCE_STEPS,
        "memory": float(int((resources.memory_gib or 0) * _GIB)),
        **resources.custom,
    }
    return {name: amount for name, amount in amounts.items() if amount}


def count_cluster_slots(demand: Mapping[str, float]) -> int:
    """Count the slots on the connected Ray, as if it were empty.

    Args:
        demand: Resources of a trial by Ray's names; at least one.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return count_slots(nodes, demand)


def count_slots(nodes: Iterable[Mapping[str, float]], demand: Mapping[str, float]) -> int:
    """Count how many trials fit on nodes.

    Example:
        >>> count_slots([{"CPU": 4.0, "GPU": 1.0}, {"CPU": 3.0}], {"CPU": 2.0})
        3
        >>> count_slots([{"CPU": 8.0, "GPU": 1.0}], {"CPU": 1.0, "GPU": 0.25})
        4
    """
    return sum(_count_node_slots(NodeCapacity(node), to_units(demand)) for node in nodes)


def _count_node_slots(capacity: NodeCapacity, demand: Mapping[str, int]) -> int:
    count = 0
    while capacity.reserve(demand):
        count += 1
    return count


# The client reports once a second; Tune calls ten times as often.
_UPDATE_S: Final = 0.5


class ClusterQuota:
    """The quota of a study, reported to the cluster's queue and shown to the user.

    Called from Tune's thread; never blocks. Has mutable state: which trials have a slot, and
    whether the user was told that they wait.
    """

    def __init__(
        self,
        coordinator: TrialCoordinator,
        client: QuotaClient | None,
        notify: Callable[[str], None],
        slots: int | None = None,
    ) -> None:
        """Create the quota of one run of Tune.

        Args:
            coordinator: Assigns the trials.
            client: Client of the cluster's quota; None on a Ray of the study's own.
            notify: Shows a message to the user.
            slots: Trials at a time on a Ray of the study's own; None if that may grow.
        """
        self._coordinator = coordinator
        self._client = client
        self._notify = notify
        self._slots = slots
        self._with_slot: set[str] = set()
        self._updated_s = 0.0
        self._is_waiting = False
        self._failure_reported = False

    @property
    def is_shared(self) -> bool:
        """Whether other studies may use the cluster."""
        return self._client is not None

    @property
    def limit(self) -> int | None:
        """Trials at a time, with one that may be pending; None for any number.

        On a Ray of its own a study has none pending: a trial is created when its slot is free,
        from all results until then, and Tune requests no resources beforehand.
        """
        return self._slots if self._client is None else self._client.limit

    def keeps_slot(self, ending: int = 0) -> bool:
        """Check whether the study may keep a free slot for its next trial.

        Args:
            ending: Trials that are about to end.
        """
        if self._client is None:
            return True
        return (
            self._coordinator.n_running - ending < self._client.limit
            and not self._client.should_yield
        )

    def slot_acquired(self, trial: str) -> None:
        """Add a trial that has a slot."""
        self._with_slot.add(trial)

    def slot_released(self, trial: str) -> None:
        """Remove a trial that has lost its slot."""
        self._with_slot.discard(trial)

    @property
    def load(self) -> Load:
        """The slots that the study has and wants now."""
        running = self._coordinator.n_running
        wanted = running + self._coordinator.n_pending
        return Load(running=running, placed=min(len(self._with_slot), running), wanted=wanted)

    def update(self) -> None:
        """Report the load to the queue, and its answer to the user, twice a second at most."""
        if self._client is None or time.monotonic() - self._updated_s < _UPDATE_S:
            return
        self._updated_s = time.monotonic()
        load = self.load
        self._client.report(load)
        self._report_waiting(self._client, load)
        self._report_failure(self._client)

    def _report_waiting(self, client: QuotaClient, load: Load) -> None:
        has_none = load.running == 0 and load.wanted > 0 and not client.granted
        # A new queue may not know the order yet; a study that waits continues to.
        waits = has_none and (self._is_waiting or bool(client.ahead))
        if waits == self._is_waiting:
            return
        self._is_waiting = waits
        if waits:
            names = ", ".join(dict.fromkeys(client.ahead))
            self._notify(f"waits for its turn on the cluster ({client.position}), after {names}.")
        else:
            self._notify(f"goes on: {client.position} on the cluster.")

    def _report_failure(self, client: QuotaClient) -> None:
        error = client.error
        if error is not None and not self._failure_reported:
            kept = f"goes on with {client.granted} trials at a time" if client.granted else "waits"
            self._notify(f"the cluster's queue does not answer ({error}); the study {kept}.")
        elif error is None and self._failure_reported:
            self._notify("the cluster's queue answers again.")
        self._failure_reported = error is not None


@contextmanager
def cluster_quota(
    coordinator: TrialCoordinator, context: ExecutionContext
) -> Iterator[ClusterQuota]:
    """Yield the quota on the connected Ray; on a shared one the study enters the queue."""
    if context.address is None:
        slots = count_cluster_slots(ray_resources(context.spec.resources))
        yield ClusterQuota(coordinator, None, context.notify, slots)
        return
    resources = context.spec.resources
    client = QuotaClient(
        QuotaRequest(
            study=context.spec.name,
            priority=resources.priority,
            demand=ray_resources(resources),
            max_concurrent=resources.max_concurrent,
        )
    )
    quota = ClusterQuota(coordinator, client, context.notify)
    client.start(quota.load)
    try:
        yield quota
    finally:
        client.close()
