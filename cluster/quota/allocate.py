"""Who may have how many trials at a time: first come first served within a priority, first fit.

This file travels by value into the queue's actor: it imports nothing but Python's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

# Ray counts everything in these steps, GPUs too.
_UNITS_PER_RESOURCE: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A study in the queue.

    Attributes:
        key: What its driver is known by; no two are the same.
        study: Its name, for people.
        priority: Higher goes first.
        arrived_s: When its driver arrived, in seconds.
        demand: What one trial reserves, by Ray's names.
        wanted: Trials that were handed out and have not ended, and those that could begin now.
        max_concurrent: Trials at a time that the study file allows, or None for any number.
        running: Trials that were handed out and have not ended, placed or not.
        placed: Trials that have a place on a node.
    """

    key: str
    study: str
    priority: int
    arrived_s: float
    demand: Mapping[str, float]
    wanted: int
    max_concurrent: int | None = None
    running: int = 0
    placed: int = 0

    @property
    def limit(self) -> int:
        """How many trials it would have if it were alone on a cluster without end."""
        return (
            self.wanted if self.max_concurrent is None else min(self.wanted, self.max_concurrent)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a study may have.

    Attributes:
        trials: Trials at a time.
        is_next: Whether one more may stand ready: the study is the first that wants more than
            fits. Its trial takes the next place there is, and tells an autoscaler what is missing.
    """

    trials: int
    is_next: bool = False


def sort_by_priority(workloads: Iterable[Workload]) -> list[Workload]:
    """Sort studies by priority, and within one by arrival."""
    return sorted(
        workloads, key=lambda workload: (-workload.priority, workload.arrived_s, workload.key)
    )


def allocate(
    nodes: Iterable[Mapping[str, float]], workloads: Iterable[Workload]
) -> Mapping[str, Grant]:
    """Divide what the nodes hold among the studies.

    Each study in order is given trials, one after the other, wherever the next one fits into what
    is left of a node. No study changes what one before it gets, and no place stays empty that a
    study wants and could use.

    Args:
        nodes: What each node holds in all, by Ray's names.
        workloads: The studies.

    Returns:
        The grant of each study by its key.

    Example:
        >>> first, second = (
        ...     Workload(key=k, study=k, priority=0, since=i, demand={"CPU": 1}, wanted=3)
        ...     for i, k in enumerate("ab")
        ... )
        >>> [grant.trials for grant in allocate([{"CPU": 4}], [second, first]).values()]
        [3, 1]
    """
    capacities = [NodeCapacity(node) for node in nodes]
    grants: dict[str, Grant] = {}
    for workload in sort_by_priority(workloads):
        trials = _fill(capacities, workload)
        is_next = trials < workload.limit and not any(g.is_next for g in grants.values())
        grants[workload.key] = Grant(trials=trials, is_next=is_next)
    return grants


class NodeCapacity:
    """What is left of a node. Has mutable state: trials take of it."""

    def __init__(self, resources: Mapping[str, float]) -> None:
        """Begin with an empty node."""
        units = to_units(resources)
        gpus = units.pop("GPU", 0)
        self._left = units
        # A trial's share is of one GPU: what is left of two does not add up.
        self._gpus = [_UNITS_PER_RESOURCE] * (gpus // _UNITS_PER_RESOURCE)

    def reserve(self, demand: Mapping[str, int]) -> bool:
        """Place a trial, if it fits; tells whether it did.

        Args:
            demand: What it reserves, in Ray's steps.
        """
        others = {name: units for name, units in demand.items() if name != "GPU"}
        gpu = _best_fit(self._gpus, demand.get("GPU", 0))
        if gpu is None or any(self._left.get(name, 0) < units for name, units in others.items()):
            return False
        for name, units in others.items():
            self._left[name] = self._left.get(name, 0) - units
        if gpu >= 0:
            self._gpus[gpu] -= demand["GPU"]
        return True


def to_units(resources: Mapping[str, float]) -> dict[str, int]:
    """Count amounts in Ray's steps of 0.0001, rounded as Ray does; what is 0 is left out."""
    units = {name: int(amount * _UNITS_PER_RESOURCE + 0.5) for name, amount in resources.items()}
    return {name: count for name, count in units.items() if count}


def _best_fit(gpus: Sequence[int], share: int) -> int | None:
    """Find the GPU with the least left that has the share; -1 if none is needed."""
    if not share:
        return -1
    fits = [(left, i) for i, left in enumerate(gpus) if left >= share]
    return min(fits)[1] if fits else None


def _fill(capacities: Iterable[NodeCapacity], workload: Workload) -> int:
    demand, trials = to_units(workload.demand), 0
    for capacity in capacities:
        while trials < workload.limit and capacity.reserve(demand):
            trials += 1
    return trials
