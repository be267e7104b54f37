"""Who stands in the queue: what drivers say once a second, and what each is answered.

Soft state: nothing is stored, and a register that was lost learns everything from the next
messages. This file travels by value into the queue's actor: it imports nothing but Python's own
and :mod:`cluster.quota.allocate`, which travels along. Messages are plain data, and a newer version
of this file understands older drivers: a key that they do not send has a default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, Final

from cluster.quota.allocate import Grant, Workload, allocate, sort_by_priority

# Raised when an older actor would not understand what a newer driver sends.
VERSION: Final = 1
# A driver that has said nothing for so long is gone.
HEARTBEAT_TIMEOUT_S: Final = 10.0
# So long a new register in the place of a lost one listens before it changes what studies have.
RECOVERY_S: Final = 3.0
# So long a study may have fewer trials placed than it was granted; starting a process takes less.
STARVED_S: Final = 10.0


class QuotaState:
    """Knows the studies that were heard of lately. Has mutable state: they come and go."""

    def __init__(self, now_s: float, *, is_recovering: bool) -> None:
        """Begin with an empty queue.

        Args:
            now_s: The time, by a clock that only goes forward.
            is_recovering: Whether studies may be running that have not been heard of yet.
        """
        self._workloads: dict[str, Workload] = {}
        self._last_seen_s: dict[str, float] = {}
        self._starved_since_s: dict[str, float] = {}
        self._recovers_until_s = now_s + RECOVERY_S if is_recovering else now_s

    def update(
        self,
        message: Mapping[str, Any],
        nodes: Sequence[Mapping[str, float]],
        now_s: float,
        arrival_s: float,
    ) -> dict[str, Any]:
        """Take note of what a driver says, and answer it.

        Args:
            message: Its study, by the names of :class:`Workload`; ``granted`` is what it has now.
            nodes: What each node holds in all.
            now_s: The time, by a clock that only goes forward.
            arrival_s: The time of day, for a driver that has none from an earlier answer.
        """
        workload = _workload_of(message, arrival_s)
        self._workloads[workload.key] = workload
        self._last_seen_s[workload.key] = now_s
        self._expire(now_s)
        grants = allocate(nodes, self._workloads.values())
        self._note_starved(grants, now_s)
        if now_s < self._recovers_until_s:
            grants = {**grants, workload.key: Grant(trials=int(message.get("granted", 0)))}
        return self._reply(workload, grants[workload.key], now_s)

    def remove(self, key: str) -> None:
        """Forget a driver, which has ended."""
        for kept in (self._workloads, self._last_seen_s, self._starved_since_s):
            kept.pop(key, None)

    def rows(self, nodes: Sequence[Mapping[str, float]], now_s: float) -> list[dict[str, Any]]:
        """Give the queue in its order, with what each study is granted."""
        self._expire(now_s)
        grants = allocate(nodes, self._workloads.values())
        ordered = sort_by_priority(self._workloads.values())
        return [{**asdict(e), "granted": grants[e.key].trials} for e in ordered]

    def _reply(self, workload: Workload, grant: Grant, now_s: float) -> dict[str, Any]:
        order = sort_by_priority(self._workloads.values())
        rank = order.index(workload)
        others = (s for key, s in self._starved_since_s.items() if key != workload.key)
        return {
            "version": VERSION,
            "arrived_s": workload.arrived_s,
            "granted": grant.trials,
            "is_next": grant.is_next,
            # A place that is used again and again never shows whether another's trial fits there.
            "should_yield": any(now_s - since_s > STARVED_S for since_s in others),
            "rank": rank + 1,
            "studies": len(order),
            "ahead": [other.study for other in order[:rank]],
        }

    def _expire(self, now_s: float) -> None:
        for key in [
            k for k, seen in self._last_seen_s.items() if now_s - seen > HEARTBEAT_TIMEOUT_S
        ]:
            self.remove(key)

    def _note_starved(self, grants: Mapping[str, Grant], now_s: float) -> None:
        for key, workload in self._workloads.items():
            if workload.placed < min(workload.running, grants[key].trials):
                self._starved_since_s.setdefault(key, now_s)
            else:
                self._starved_since_s.pop(key, None)


def _workload_of(message: Mapping[str, Any], arrival_s: float) -> Workload:
    names = (field.name for field in fields(Workload))
    known = {name: message[name] for name in names if name in message}
    arrived_s = known.pop("arrived_s", None)
    workload = Workload(**{"arrived_s": arrival_s, **known})
    return workload if arrived_s is None else replace(workload, arrived_s=arrived_s)
