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

from study.storage.database import error_message, is_transient

_INITIAL_BACKOFF_S: Final = 0.25
_MAX_BACKOFF_S: Final = 5.0
# How long a report may wait for others.
_BATCH_WINDOW_S: Final = 0.2

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


def _log_warning(text: str) -> None:
    _log.warning("%s", text)


class StoreWriter:
    """A thread, its queue of jobs, and how long the database has been away. Has mutable state."""

    def __init__(self, notify: Callable[[str], None] = _log_warning, wait_s: float = 2.0) -> None:
        """Begin with nothing to do.

        Args:
            notify: Told, from the thread, when the database goes away and when it is back.
            patience_s: How long an answer is waited for while the database is there.
        """
        self._queue = _WriteQueue(notify=notify)
        self._wait_s = wait_s
        self._last: Future[Any] | None = None
        self._late: Future[Any] | None = None
        self._thread = threading.Thread(target=self._queue.run, name="store-writer", daemon=True)
        # The thread does not know the clerk, and ends when nobody else does either.
        weakref.finalize(self, self._queue.jobs.put, None)

    def enqueue(self, write: Callable[[list[_T]], object], item: _T) -> Future[None]:
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
        self._put(_BatchItem(write, item, future))
        return future

    def call(self, job: Callable[[], _T]) -> Future[_T]:
        """Have a job done after all that was given before; wait, unless an earlier one is late.

        Args:
            job: What is done. It must be able to be repeated, as for :meth:`post`.

        Raises:
            Exception: What this job or an earlier one raised, if it was no outage.
        """
        future: Future[_T] = Future()
        self._put(_Call(job, future))
        if self._late is None or self._late.done():
            _wait(future, self._wait_s)
            self._late = None if future.done() else future
            self.raise_failure()
        return future

    def _put(self, job: _Job) -> None:
        self.raise_failure()
        if not self._thread.is_alive():
            self._thread.start()
        self._last = job.future
        self._queue.jobs.put(job)

    @property
    def is_idle(self) -> bool:
        """Whether everything that was submitted is done."""
        return self._last is None or self._last.done()

    def raise_failure(self) -> None:
        """Raise what a job raised, if it was no outage; every time, since its work is undone."""
        if self._queue.failure is not None:
            raise self._queue.failure

    def flush(self, timeout_s: float | None = None) -> bool:
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
class _Call:
    """Something to be done by itself, and where its result goes."""

    job: Callable[[], Any]
    future: Future[Any]


@dataclass(frozen=True, slots=True)
class _BatchItem:
    """Something to be taken together with others, and whom to say that it was."""

    write: Callable[[list[Any]], object]
    item: Any
    future: Future[None]


_Job: TypeAlias = _Call | _BatchItem


@dataclass(slots=True, kw_only=True)
class _WriteQueue:
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
    unavailable_since: float | None = None
    batch: list[_BatchItem] = field(default_factory=list)
    batch_until: float = 0.0

    def run(self) -> None:
        """Do what comes until None does."""
        while (job := self._next()) is not None:
            if isinstance(job, _BatchItem):
                self._add_to_batch(job)
            else:
                self._flush_batch()
                self._execute(job.job, [job.future])
            # What was done holds a connection to the database.
            del job
        self._flush_batch()

    def _next(self) -> _Job | None:
        """Wait for the next job; what is held is taken once its time is up."""
        if self.batch:
            left_s = self.batch_until - time.monotonic()
            if left_s > 0:
                with suppress(queue.Empty):
                    return self.jobs.get(timeout=left_s)
            self._flush_batch()
        return self.jobs.get()

    def _add_to_batch(self, job: _BatchItem) -> None:
        if self.batch and self.batch[0].write != job.write:
            self._flush_batch()
        if not self.batch:
            self.batch_until = time.monotonic() + _BATCH_WINDOW_S
        self.batch.append(job)

    def _flush_batch(self) -> None:
        if self.batch:
            items = [job.item for job in self.batch]
            futures = [job.future for job in self.batch]
            self._execute(partial(self.batch[0].write, items), futures)
            self.batch.clear()

    def _execute(self, job: Callable[[], Any], futures: Sequence[Future[Any]]) -> None:
        backoff_s = _INITIAL_BACKOFF_S
        while True:
            try:
                result = job()
            except BaseException as error:
                # The border of the thread: what is no outage is raised where the job came from.
                if not is_transient(error):
                    self.failure = self.failure or error
                    for future in futures:
                        future.set_exception(error)
                    return
                self._notify_unavailable(error)
                time.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, _MAX_BACKOFF_S)
            else:
                self._notify_available()
                for future in futures:
                    future.set_result(result)
                return

    def _notify_unavailable(self, error: BaseException) -> None:
        if self.unavailable_since is None:
            self.unavailable_since = time.monotonic()
            self.notify(
                f"the Optuna database does not answer ({error_message(error)}); trials run on, and it "
                "is told everything when it is back."
            )

    def _notify_available(self) -> None:
        if self.unavailable_since is not None:
            unavailable_s = time.monotonic() - self.unavailable_since
            self.unavailable_since = None
            self.notify(f"the Optuna database answers again, after {unavailable_s:.0f} s.")


def _wait(future: Future[Any], timeout_s: float) -> None:
    with suppress(TimeoutError):
        future.exception(timeout_s)
