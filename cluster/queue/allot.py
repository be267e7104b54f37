"""Who may have how many trials at a time: first come first served within a priority, first fit.

This file travels by value into the queue's actor: it imports nothing but Python's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

# Ray counts everything in these steps, GPUs too.
_STEPS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A study in the queue.

    Attributes:
        key: What its driver is known by; no two are the same.
        study: Its name, for people.
        priority: Higher goes first.
        since: When its driver arrived, in seconds.
        demand: What one trial reserves, by Ray's names.
        wanted: Trials that were handed out and have not ended, and those that could begin now.
        at_most: Trials at a time that the study file allows, or None for any number.
        begun: Trials that were handed out and have not ended, placed or not.
        placed: Trials that have a place on a node.
    """

    key: str
    study: str
    priority: int
    since: float
    demand: Mapping[str, float]
    wanted: int
    at_most: int | None = None
    begun: int = 0
    placed: int = 0

    @property
    def limit(self) -> int:
        """How many trials it would have if it were alone on a cluster without end."""
        return self.wanted if self.at_most is None else min(self.wanted, self.at_most)


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


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Sort studies by priority, and within one by arrival."""
    return sorted(entries, key=lambda entry: (-entry.priority, entry.since, entry.key))


def allot(nodes: Iterable[Mapping[str, float]], entries: Iterable[Entry]) -> Mapping[str, Grant]:
    """Divide what the nodes hold among the studies.

    Each study in order is given trials, one after the other, wherever the next one fits into what
    is left of a node. No study changes what one before it gets, and no place stays empty that a
    study wants and could use.

    Args:
        nodes: What each node holds in all, by Ray's names.
        entries: The studies.

    Returns:
        The grant of each study by its key.

    Example:
        >>> first, second = (
        ...     Entry(key=k, study=k, priority=0, since=i, demand={"CPU": 1}, wanted=3)
        ...     for i, k in enumerate("ab")
        ... )
        >>> [grant.trials for grant in allot([{"CPU": 4}], [second, first]).values()]
        [3, 1]
    """
    rooms = [Room(node) for node in nodes]
    grants: dict[str, Grant] = {}
    for entry in in_order(entries):
        trials = _fill(rooms, entry)
        is_next = trials < entry.limit and not any(g.is_next for g in grants.values())
        grants[entry.key] = Grant(trials=trials, is_next=is_next)
    return grants


class Room:
    """What is left of a node. Has mutable state: trials take of it."""

    def __init__(self, resources: Mapping[str, float]) -> None:
        """Begin with an empty node."""
        steps = in_steps(resources)
        gpus = steps.pop("GPU", 0)
        self._left = steps
        # A trial's share is of one GPU: what is left of two does not add up.
        self._gpus = [_STEPS] * (gpus // _STEPS)

    def take(self, demand: Mapping[str, int]) -> bool:
        """Place a trial, if it fits; tells whether it did.

        Args:
            demand: What it reserves, in Ray's steps.
        """
        others = {name: steps for name, steps in demand.items() if name != "GPU"}
        gpu = _fullest(self._gpus, demand.get("GPU", 0))
        if gpu is None or any(self._left.get(name, 0) < steps for name, steps in others.items()):
            return False
        for name, steps in others.items():
            self._left[name] = self._left.get(name, 0) - steps
        if gpu >= 0:
            self._gpus[gpu] -= demand["GPU"]
        return True


def in_steps(resources: Mapping[str, float]) -> dict[str, int]:
    """Count amounts in Ray's steps of 0.0001, rounded as Ray does; what is 0 is left out."""
    steps = {name: int(amount * _STEPS + 0.5) for name, amount in resources.items()}
    return {name: count for name, count in steps.items() if count}


def _fullest(gpus: Sequence[int], share: int) -> int | None:
    """Find the GPU with the least left that has the share; -1 if none is needed."""
    if not share:
        return -1
    fits = [(left, i) for i, left in enumerate(gpus) if left >= share]
    return min(fits)[1] if fits else None


def _fill(rooms: Iterable[Room], entry: Entry) -> int:
    demand, trials = in_steps(entry.demand), 0
    for room in rooms:
        while trials < entry.limit and room.take(demand):
            trials += 1
    return trials
