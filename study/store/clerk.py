"""Carries out what the ledger is to do, in order, however long its database is away.

Trials run in processes of their own and need no database. So that neither a restart of the
database nor a slow one holds up the loop that they report to, the ledger is written in a thread
beside it. Nobody waits for a report to be told; in ordinary times whoever asks for a trial, or
ends one, waits for that and for all that was told before, and once that is late he goes on
without. What is not told when the driver dies is told from the result files at the next start.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

from study.store.outage import is_away, reason

_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 5.0

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_Job: TypeAlias = tuple[Callable[[], Any], Future[Any]]


def _log_notice(text: str) -> None:
    _log.warning("%s", text)


class Clerk:
    """A thread, its queue of jobs, and how long the database has been away. Has mutable state."""

    def __init__(
        self, notify: Callable[[str], None] = _log_notice, patience_s: float = 2.0
    ) -> None:
        """Begin with nothing to do.

        Args:
            notify: Told, from the thread, when the database goes away and when it is back.
            patience_s: How long an answer is waited for while the database is there.
        """
        self._desk = _Desk(notify=notify)
        self._patience_s = patience_s
        self._last: Future[Any] | None = None
        self._late: Future[Any] | None = None
        self._thread = threading.Thread(target=self._desk.work, name="clerk", daemon=True)
        # The thread does not know the clerk, and ends when nobody else does either.
        weakref.finalize(self, self._desk.jobs.put, None)

    def post(self, job: Callable[[], _T]) -> Future[_T]:
        """Have a job done after all that were given before, without waiting for it.

        It must be one that may be repeated: it is, if the database goes away while it is done.

        Raises:
            Exception: What an earlier job raised, if it was no outage.
        """
        self.raise_failure()
        if not self._thread.is_alive():
            self._thread.start()
        future: Future[_T] = Future()
        self._last = future
        self._desk.jobs.put((job, future))
        return future

    def submit(self, job: Callable[[], _T]) -> Future[_T]:
        """Have a job done as :meth:`post` does, and wait for it, unless an earlier one is late.

        Raises:
            Exception: What this job or an earlier one raised, if it was no outage.
        """
        future = self.post(job)
        if self._late is None or self._late.done():
            _wait(future, self._patience_s)
            self._late = None if future.done() else future
            self.raise_failure()
        return future

    @property
    def is_idle(self) -> bool:
        """Whether everything that was submitted is done."""
        return self._last is None or self._last.done()

    def raise_failure(self) -> None:
        """Raise what a job raised, if it was no outage; every time, since its work is undone."""
        if self._desk.failure is not None:
            raise self._desk.failure

    def settle(self, timeout_s: float | None = None) -> bool:
        """Wait until everything is done, or for a while; tells whether it is.

        Raises:
            Exception: What a job raised, if it was no outage.
        """
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while self._last is not None and not self.is_idle:
            # In short pieces, between which Ctrl-C is heard.
            _wait(self._last, 0.2)
            if end is not None and time.monotonic() > end:
                break
        self.raise_failure()
        return self.is_idle


@dataclass(slots=True, kw_only=True)
class _Desk:
    """What the thread works on.

    Attributes:
        notify: Told when the database goes away and when it is back.
        jobs: What is to be done, each with where its result goes; None to end.
        failure: What the first job raised that was no outage.
        away_since: When the database was first missed, or None while it answers.
    """

    notify: Callable[[str], None]
    jobs: queue.SimpleQueue[_Job | None] = field(default_factory=queue.SimpleQueue)
    failure: BaseException | None = None
    away_since: float | None = None

    def work(self) -> None:
        """Do what comes until None does."""
        while (job := self.jobs.get()) is not None:
            self._carry_out(*job)
            # What was done holds a connection to the database.
            del job

    def _carry_out(self, job: Callable[[], Any], future: Future[Any]) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                result = job()
            except BaseException as error:
                # The border of the thread: what is no outage is raised where the job came from.
                if not is_away(error):
                    self.failure = self.failure or error
                    future.set_exception(error)
                    return
                self._note_outage(error)
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                self._note_return()
                future.set_result(result)
                return

    def _note_outage(self, error: BaseException) -> None:
        if self.away_since is None:
            self.away_since = time.monotonic()
            self.notify(
                f"the Optuna database does not answer ({reason(error)}); trials run on, and it "
                "is told everything when it is back."
            )

    def _note_return(self) -> None:
        if self.away_since is not None:
            away_s = time.monotonic() - self.away_since
            self.away_since = None
            self.notify(f"the Optuna database answers again, after {away_s:.0f} s.")


def _wait(future: Future[Any], timeout_s: float) -> None:
    with suppress(TimeoutError):
        future.exception(timeout_s)
