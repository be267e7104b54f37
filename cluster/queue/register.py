"""Who stands in the queue: what drivers say once a second, and what each is answered.

Soft state: nothing is stored, and a register that was lost learns everything from the next
messages. This file travels by value into the queue's actor: it imports nothing but Python's own
and :mod:`cluster.queue.allot`, which travels along. Messages are plain data, and a newer version
of this file understands older drivers: a key that they do not send has a default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, Final

from cluster.queue.allot import Entry, Grant, allot, in_order

# Raised when an older actor would not understand what a newer driver sends.
VERSION: Final = 1
# A driver that has said nothing for so long is gone.
SILENCE_S: Final = 10.0
# So long a new register in the place of a lost one listens before it changes what studies have.
LEARNING_S: Final = 3.0
# So long a study may have fewer trials placed than it was granted; starting a process takes less.
CRAMPED_S: Final = 10.0


class Register:
    """Knows the studies that were heard of lately. Has mutable state: they come and go."""

    def __init__(self, now_s: float, *, is_learning: bool) -> None:
        """Begin with an empty queue.

        Args:
            now_s: The time, by a clock that only goes forward.
            is_learning: Whether studies may be running that have not been heard of yet.
        """
        self._entries: dict[str, Entry] = {}
        self._heard_s: dict[str, float] = {}
        self._cramped_since_s: dict[str, float] = {}
        self._learns_until_s = now_s + LEARNING_S if is_learning else now_s

    def hear(
        self,
        message: Mapping[str, Any],
        nodes: Sequence[Mapping[str, float]],
        now_s: float,
        arrival_s: float,
    ) -> dict[str, Any]:
        """Take note of what a driver says, and answer it.

        Args:
            message: Its study, by the names of :class:`Entry`; ``granted`` is what it has now.
            nodes: What each node holds in all.
            now_s: The time, by a clock that only goes forward.
            arrival_s: The time of day, for a driver that has none from an earlier answer.
        """
        entry = _entry(message, arrival_s)
        self._entries[entry.key] = entry
        self._heard_s[entry.key] = now_s
        self._drop_silent(now_s)
        grants = allot(nodes, self._entries.values())
        self._note_cramped(grants, now_s)
        if now_s < self._learns_until_s:
            grants = {**grants, entry.key: Grant(trials=int(message.get("granted", 0)))}
        return self._answer(entry, grants[entry.key], now_s)

    def leave(self, key: str) -> None:
        """Forget a driver, which has ended."""
        for kept in (self._entries, self._heard_s, self._cramped_since_s):
            kept.pop(key, None)

    def rows(self, nodes: Sequence[Mapping[str, float]], now_s: float) -> list[dict[str, Any]]:
        """Give the queue in its order, with what each study is granted."""
        self._drop_silent(now_s)
        grants = allot(nodes, self._entries.values())
        ordered = in_order(self._entries.values())
        return [{**asdict(e), "granted": grants[e.key].trials} for e in ordered]

    def _answer(self, entry: Entry, grant: Grant, now_s: float) -> dict[str, Any]:
        order = in_order(self._entries.values())
        place = order.index(entry)
        others = (s for key, s in self._cramped_since_s.items() if key != entry.key)
        return {
            "version": VERSION,
            "since": entry.since,
            "granted": grant.trials,
            "is_next": grant.is_next,
            # A place that is used again and again never shows whether another's trial fits there.
            "yields": any(now_s - since > CRAMPED_S for since in others),
            "place": place + 1,
            "studies": len(order),
            "before": [other.study for other in order[:place]],
        }

    def _drop_silent(self, now_s: float) -> None:
        for key in [k for k, heard in self._heard_s.items() if now_s - heard > SILENCE_S]:
            self.leave(key)

    def _note_cramped(self, grants: Mapping[str, Grant], now_s: float) -> None:
        for key, entry in self._entries.items():
            if entry.placed < min(entry.begun, grants[key].trials):
                self._cramped_since_s.setdefault(key, now_s)
            else:
                self._cramped_since_s.pop(key, None)


def _entry(message: Mapping[str, Any], arrival_s: float) -> Entry:
    names = (field.name for field in fields(Entry))
    known = {name: message[name] for name in names if name in message}
    since = known.pop("since", None)
    entry = Entry(**{"since": arrival_s, **known})
    return entry if since is None else replace(entry, since=since)
