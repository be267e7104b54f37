"""A FIFO queue of writes to the trial store that retries while the database is unavailable.

Trials run in processes of their own and need no database. So that neither a restart of the
database nor a slow one delays the loop that they report to, the trial store is written in a
thread. Reports are not waited for, so that those of a short time share a transaction: each
transaction waits for the disk. Calls, such as the creation of a trial, wait for their result and
for all earlier writes, and continue without once one is late. What is not written when the driver
dies is written from the result files at the next start.
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
# How long an enqueued item may wait for others.
_BATCH_WINDOW_S: Final = 0.2

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class StoreWriter:
    """A thread and its queue of jobs. Has mutable state: both.

    Jobs must be repeatable: they are, if the database becomes unavailable meanwhile. An error
    that is not transient is raised by every later call, since its write is missing.
    """

    def __init__(self, notify: Callable[[str], None] = _log.warning, wait_s: float = 2.0) -> None:
        """Start with an empty queue.

        Args:
            notify: Called from the thread when the database becomes unavailable or available.
            wait_s: How long a call waits for its result while the database is available.
        """
        self._queue = _WriteQueue(notify=notify)
        self._wait_s = wait_s
        self._last: Future[Any] | None = None
        self._late: Future[Any] | None = None
        self._thread = threading.Thread(target=self._queue.run, name="store-writer", daemon=True)
        # The thread has no reference to the writer, and ends when the writer is collected.
        weakref.finalize(self, self._queue.jobs.put, None)

    def enqueue(self, write: Callable[[list[_T]], object], item: _T) -> Future[None]:
        """Enqueue an item without waiting.

        It is written at the next call or after 0.2 s, together with all items that were enqueued
        until then for the same ``write``.
        """
        future: Future[None] = Future()
        self._put(_BatchItem(write, item, future))
        return future

    def call(self, job: Callable[[], _T]) -> Future[_T]:
        """Enqueue a job and wait for its result, unless an earlier one is late."""
        future: Future[_T] = Future()
        self._put(_Call(job, future))
        if self._late is None or self._late.done():
            _wait(future, self._wait_s)
            self._late = None if future.done() else future
            self.raise_failure()
        return future

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until the queue is empty or the time is up; True if it is empty."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while self._last is not None and not self.is_idle:
            # In short pieces, between which Ctrl-C is handled.
            _wait(self._last, 0.2)
            if end is not None and time.monotonic() > end:
                break
        self.raise_failure()
        return self.is_idle

    @property
    def is_idle(self) -> bool:
        """Whether the queue is empty."""
        return self._last is None or self._last.done()

    def raise_failure(self) -> None:
        """Raise the first error that was not transient, if any."""
        if self._queue.failure is not None:
            raise self._queue.failure

    def _put(self, job: _Job) -> None:
        self.raise_failure()
        if not self._thread.is_alive():
            self._thread.start()
        self._last = job.future
        self._queue.jobs.put(job)


@dataclass(frozen=True, slots=True)
class _Call:
    job: Callable[[], Any]
    future: Future[Any]


@dataclass(frozen=True, slots=True)
class _BatchItem:
    write: Callable[[list[Any]], object]
    item: Any
    future: Future[None]


_Job: TypeAlias = _Call | _BatchItem


@dataclass(slots=True, kw_only=True)
class _WriteQueue:
    """State of the thread; times are on the monotonic clock."""

    notify: Callable[[str], None]
    # None ends the thread.
    jobs: queue.SimpleQueue[_Job | None] = field(default_factory=queue.SimpleQueue)
    # The first error that was not transient.
    failure: BaseException | None = None
    unavailable_since: float | None = None
    # Items that wait for others, until they are written.
    batch: list[_BatchItem] = field(default_factory=list)
    batch_until: float = 0.0

    def run(self) -> None:
        """Execute jobs until None comes."""
        while (job := self._next()) is not None:
            if isinstance(job, _BatchItem):
                self._add_to_batch(job)
            else:
                self._flush_batch()
                self._execute(job.job, [job.future])
            # A finished job refers to a connection to the database.
            del job
        self._flush_batch()

    def _next(self) -> _Job | None:
        """Wait for the next job; a batch is written once its time is up."""
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
                # The border of the thread: raised where the job was enqueued.
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
                f"the Optuna database does not answer ({error_message(error)}); trials run on, "
                "and their results are stored in it when it is back."
            )

    def _notify_available(self) -> None:
        if self.unavailable_since is not None:
            unavailable_s = time.monotonic() - self.unavailable_since
            self.unavailable_since = None
            self.notify(f"the Optuna database answers again, after {unavailable_s:.0f} s.")


def _wait(future: Future[Any], timeout_s: float) -> None:
    with suppress(TimeoutError):
        future.exception(timeout_s)
