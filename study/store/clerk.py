"""Carries out what the ledger is to do, in order, however long its database is away.

Trials run in processes of their own and need no database. So that neither a restart of the
database nor a slow one holds up the loop that they report to, the ledger is written in a thread
beside it. Nobody waits for a report to be told, so that reports which come soon after one another
are told together: each transaction waits for the disk. In ordinary times whoever asks for a trial,
or ends one, waits for that and for all that was told before, and once that is late he goes on
without. What is not told when the driver dies is told from the result files at the next start.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

from study.store.outage import is_away, reason

_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 5.0
# How long a report may wait for others.
_GATHER_S: Final = 0.2

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


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

    def post(self, take: Callable[[list[_T]], object], item: _T) -> Future[None]:
        """Have something taken after all that was given before, without waiting for it.

        It waits for the next job that is submitted, for 0.2 s at most, and is taken together with
        all that is posted until then for the same taker.

        Args:
            take: Who takes it and its like, in order. It must be able to do so repeatedly: it
                does, if the database goes away meanwhile.
            item: What is taken.

        Raises:
            Exception: What an earlier job raised, if it was no outage.
        """
        future: Future[None] = Future()
        self._give(_Posted(take, item, future))
        return future

    def submit(self, job: Callable[[], _T]) -> Future[_T]:
        """Have a job done after all that was given before; wait, unless an earlier one is late.

        Args:
            job: What is done. It must be able to be repeated, as for :meth:`post`.

        Raises:
            Exception: What this job or an earlier one raised, if it was no outage.
        """
        future: Future[_T] = Future()
        self._give(_Submitted(job, future))
        if self._late is None or self._late.done():
            _wait(future, self._patience_s)
            self._late = None if future.done() else future
            self.raise_failure()
        return future

    def _give(self, job: _Job) -> None:
        self.raise_failure()
        if not self._thread.is_alive():
            self._thread.start()
        self._last = job.future
        self._desk.jobs.put(job)

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


@dataclass(frozen=True, slots=True)
class _Submitted:
    """Something to be done by itself, and where its result goes."""

    job: Callable[[], Any]
    future: Future[Any]


@dataclass(frozen=True, slots=True)
class _Posted:
    """Something to be taken together with others, and whom to say that it was."""

    take: Callable[[list[Any]], object]
    item: Any
    future: Future[None]


_Job: TypeAlias = _Submitted | _Posted


@dataclass(slots=True, kw_only=True)
class _Desk:
    """What the thread works on.

    Attributes:
        notify: Told when the database goes away and when it is back.
        jobs: What is to be done, each with where its result goes; None to end.
        failure: What the first job raised that was no outage.
        away_since: When the database was first missed, or None while it answers.
        held: What was posted and waits for others.
        held_until: How long it does, on the monotonic clock.
    """

    notify: Callable[[str], None]
    jobs: queue.SimpleQueue[_Job | None] = field(default_factory=queue.SimpleQueue)
    failure: BaseException | None = None
    away_since: float | None = None
    held: list[_Posted] = field(default_factory=list)
    held_until: float = 0.0

    def work(self) -> None:
        """Do what comes until None does."""
        while (job := self._next()) is not None:
            if isinstance(job, _Posted):
                self._hold(job)
            else:
                self._take_held()
                self._carry_out(job.job, [job.future])
            # What was done holds a connection to the database.
            del job
        self._take_held()

    def _next(self) -> _Job | None:
        """Wait for the next job; what is held is taken once its time is up."""
        if self.held:
            left_s = self.held_until - time.monotonic()
            if left_s > 0:
                with suppress(queue.Empty):
                    return self.jobs.get(timeout=left_s)
            self._take_held()
        return self.jobs.get()

    def _hold(self, job: _Posted) -> None:
        if self.held and self.held[0].take != job.take:
            self._take_held()
        if not self.held:
            self.held_until = time.monotonic() + _GATHER_S
        self.held.append(job)

    def _take_held(self) -> None:
        if self.held:
            items = [job.item for job in self.held]
            futures = [job.future for job in self.held]
            self._carry_out(partial(self.held[0].take, items), futures)
            self.held.clear()

    def _carry_out(self, job: Callable[[], Any], futures: Sequence[Future[Any]]) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                result = job()
            except BaseException as error:
                # The border of the thread: what is no outage is raised where the job came from.
                if not is_away(error):
                    self.failure = self.failure or error
                    for future in futures:
                        future.set_exception(error)
                    return
                self._note_outage(error)
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                self._note_return()
                for future in futures:
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
