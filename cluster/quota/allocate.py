"""The division of a cluster's trial slots among studies: by priority, then arrival, first fit.

This file travels by value into the quota actor: it imports nothing but the standard library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

# Ray counts all resources in these steps, GPUs too.
_UNITS_PER_RESOURCE: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A study in the queue.

    Attributes:
        key: Unique key of its driver.
        study: Name of the study.
        priority: Higher goes first.
        arrived_s: Arrival of its driver, in seconds.
        demand: Resources of one trial, by Ray's names.
        wanted: Trials that run, and those that could start now.
        max_concurrent: Concurrent trials that the study file allows, or None for any number.
        running: Trials that were submitted and have not ended, placed or not.
        placed: Trials that are placed on a node.
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
        """Concurrent trials of the study alone on an unlimited cluster."""
        return (
            self.wanted if self.max_concurrent is None else min(self.wanted, self.max_concurrent)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A study's share.

    Attributes:
        trials: Concurrent trials.
        is_next: Whether one more may be pending: the study is the first that wants more than
            fits. Its trial takes the next free slot, and shows an autoscaler what is missing.
    """

    trials: int
    is_next: bool = False


def sort_by_priority(requests: Iterable[Request]) -> list[Request]:
    """Sort studies by priority, and within one by arrival."""
    return sorted(
        requests, key=lambda request: (-request.priority, request.arrived_s, request.key)
    )


def allocate(
    nodes: Iterable[Mapping[str, float]], requests: Iterable[Request]
) -> Mapping[str, Grant]:
    """Divide the nodes' resources among the studies; return each study's grant by its key.

    Each study in order receives trials, one after the other, wherever the next one fits into a
    node's rest. No study changes the grant of one before it, and no slot stays empty that a study
    wants and could use.

    Args:
        nodes: Total resources of each node, by Ray's names.
        requests: The studies.

    Example:
        >>> first, second = (
        ...     Request(key=k, study=k, priority=0, arrived_s=i, demand={"CPU": 1}, wanted=3)
        ...     for i, k in enumerate("ab")
        ... )
        >>> [grant.trials for grant in allocate([{"CPU": 4}], [second, first]).values()]
        [3, 1]
    """
    capacities = [NodeCapacity(node) for node in nodes]
    grants: dict[str, Grant] = {}
    for request in sort_by_priority(requests):
        trials = _fill(capacities, request)
        is_next = trials < request.limit and not any(g.is_next for g in grants.values())
        grants[request.key] = Grant(trials=trials, is_next=is_next)
    return grants


class NodeCapacity:
    """Free resources of a node. Has mutable state: trials reserve them."""

    def __init__(self, resources: Mapping[str, float]) -> None:
        """Begin with an empty node."""
        units = to_units(resources)
        gpus = units.pop("GPU", 0)
        self._left = units
        # A trial's share is of one GPU: the rests of two do not add up.
        self._gpus = [_UNITS_PER_RESOURCE] * (gpus // _UNITS_PER_RESOURCE)

    def reserve(self, demand: Mapping[str, int]) -> bool:
        """Place a trial with a demand in Ray's steps; return False if it does not fit."""
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
    """Return amounts in Ray's steps of 0.0001, rounded as Ray does, without those that are 0."""
    units = {name: int(amount * _UNITS_PER_RESOURCE + 0.5) for name, amount in resources.items()}
    return {name: count for name, count in units.items() if count}


def _best_fit(gpus: Sequence[int], share: int) -> int | None:
    """Return the index of the GPU with the least rest that has the share; -1 for no share."""
    if not share:
        return -1
    fits = [(left, i) for i, left in enumerate(gpus) if left >= share]
    return min(fits)[1] if fits else None


def _fill(capacities: Iterable[NodeCapacity], request: Request) -> int:
    demand, trials = to_units(request.demand), 0
    for capacity in capacities:
        while trials < request.limit and capacity.reserve(demand):
            trials += 1
    return trials
