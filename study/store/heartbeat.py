"""Tells other machines that the holder of a study still runs, and learns if it was replaced."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from study.store.holding import Holder, HolderRow
from study.store.outage import reason
from study.store.owner import Owner

# What a database that hangs may cost at the end of a run.
_LEAVE_S: Final = 3.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a holder is heard of, and how long others listen for it.

    Attributes:
        beat_s: From one beat to the next.
        lease_s: How long others watch a holder on another machine before they take its place.
        look_s: From one look to the next, while they do.
    """

    beat_s: float = 3.0
    lease_s: float = 15.0
    look_s: float = 0.5


PACE: Final = Pace()


class Heartbeat:
    """Beats for a holder until it leaves, in a thread of its own. Has mutable state: the thread.

    A database that is away is asked again at the next beat: while it is away from everybody,
    nobody can take the holder's place in it either.
    """

    def __init__(
        self,
        row: HolderRow,
        owner: Owner,
        token: str,
        on_lost: Callable[[str], None],
        pace: Pace = PACE,
    ) -> None:
        """Begin to beat.

        Args:
            row: Where the holder stands.
            owner: This process, for messages.
            token: Its holding's.
            on_lost: Told from the thread, at most once, that another process holds the study now.
            pace: How often to beat.
        """
        self._row = row
        self._owner = owner
        self._token = token
        self._on_lost = on_lost
        self._pace = pace
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work, name=_thread_name(token), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Beat no longer and leave the row, unless the database does not answer for a while."""
        self._is_over.set()
        self._thread.join(_LEAVE_S)

    def _work(self) -> None:
        while not self._is_over.wait(self._pace.beat_s):
            text = self._beat()
            if text is not None:
                self._on_lost(text)
                return
        self._leave()

    def _beat(self) -> str | None:
        """Beat once; tells who holds the study now, if it is another process."""
        try:
            if self._row.say_alive(self._token):
                return None
            return self._lost(self._row.read())
        except SQLAlchemyError as error:
            _log.debug("no beat for study %s: %s", self._row.study, reason(error))
            return None

    def _leave(self) -> None:
        try:
            self._row.leave(self._token)
        except SQLAlchemyError as error:
            # Whoever comes next finds that this process has ended.
            _log.debug("study %s was not let go: %s", self._row.study, reason(error))

    def _lost(self, new: Holder | None) -> str:
        who = "another process, which has ended since" if new is None else str(new)
        then = "start it again" if new is None else "leave it to that one, or stop that one first"
        return (
            f"study {self._row.study!r} was taken over by {who}, because {self._owner} was "
            f"suspended, or cut off from the database, for more than {self._pace.lease_s:g} s; "
            f"{then}."
        )


def is_beating(token: str) -> bool:
    """Tell whether this process beats for a holding."""
    return any(thread.name == _thread_name(token) for thread in threading.enumerate())


def _thread_name(token: str) -> str:
    return f"heartbeat {token}"
