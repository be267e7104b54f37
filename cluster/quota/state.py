"""The state of the quota actor: the drivers' heartbeats and the replies to them.

Soft state: nothing is stored, and a new actor learns everything from the next heartbeats. This
file travels by value into the actor: it imports nothing but the standard library and
:mod:`cluster.quota.allocate`, which travels along. Messages are plain data, and a newer version of
this file understands older drivers: a key that they do not send has a default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, Final

from cluster.quota.allocate import Grant, Request, allocate, sort_by_priority

# Raised when an older actor would not understand what a newer driver sends.
VERSION: Final = 1
# A driver without a heartbeat for so long has ended.
HEARTBEAT_TIMEOUT_S: Final = 10.0
# So long a new actor only listens before it changes the grants of the lost one.
RECOVERY_S: Final = 3.0
# So long a study may have fewer trials placed than granted; starting a process takes less.
STARVED_S: Final = 10.0


class QuotaState:
    """The studies with a recent heartbeat. Has mutable state: they come and go."""

    def __init__(self, now_s: float, *, is_recovering: bool) -> None:
        """Begin with an empty queue.

        Args:
            now_s: The time, by a monotonic clock.
            is_recovering: Whether studies may be running that have not sent a heartbeat yet.
        """
        self._requests: dict[str, Request] = {}
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
        """Record a driver's heartbeat and return the reply.

        Args:
            message: Its study, by the fields of :class:`Request`; ``granted`` is its present
                grant.
            nodes: Total resources of each node.
            now_s: The time, by a monotonic clock.
            arrival_s: The time of day, for a driver that has none from an earlier reply.
        """
        request = _request_of(message, arrival_s)
        self._requests[request.key] = request
        self._last_seen_s[request.key] = now_s
        self._expire(now_s)
        grants = allocate(nodes, self._requests.values())
        self._note_starved(grants, now_s)
        if now_s < self._recovers_until_s:
            grants = {**grants, request.key: Grant(trials=int(message.get("granted", 0)))}
        return self._reply(request, grants[request.key], now_s)

    def remove(self, key: str) -> None:
        """Remove a driver that has ended."""
        for kept in (self._requests, self._last_seen_s, self._starved_since_s):
            kept.pop(key, None)

    def rows(self, nodes: Sequence[Mapping[str, float]], now_s: float) -> list[dict[str, Any]]:
        """Return the queue in its order, with each study's grant."""
        self._expire(now_s)
        grants = allocate(nodes, self._requests.values())
        ordered = sort_by_priority(self._requests.values())
        return [{**asdict(each), "granted": grants[each.key].trials} for each in ordered]

    def _reply(self, request: Request, grant: Grant, now_s: float) -> dict[str, Any]:
        order = sort_by_priority(self._requests.values())
        rank = order.index(request)
        others = (s for key, s in self._starved_since_s.items() if key != request.key)
        return {
            "version": VERSION,
            "arrived_s": request.arrived_s,
            "granted": grant.trials,
            "is_next": grant.is_next,
            # A slot that is reused at once never shows whether another study's trial fits there.
            "should_yield": any(now_s - since_s > STARVED_S for since_s in others),
            "rank": rank + 1,
            "studies": len(order),
            "ahead": [other.study for other in order[:rank]],
        }

    def _expire(self, now_s: float) -> None:
        for key, seen_s in tuple(self._last_seen_s.items()):
            if now_s - seen_s > HEARTBEAT_TIMEOUT_S:
                self.remove(key)

    def _note_starved(self, grants: Mapping[str, Grant], now_s: float) -> None:
        for key, request in self._requests.items():
            if request.placed < min(request.running, grants[key].trials):
                self._starved_since_s.setdefault(key, now_s)
            else:
                self._starved_since_s.pop(key, None)


def _request_of(message: Mapping[str, Any], arrival_s: float) -> Request:
    names = (field.name for field in fields(Request))
    known = {name: message[name] for name in names if name in message}
    arrived_s = known.pop("arrived_s", None)
    request = Request(**{"arrived_s": arrival_s, **known})
    return request if arrived_s is None else replace(request, arrived_s=arrived_s)
