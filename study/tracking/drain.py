"""Emptying the outbox into MLflow: what goes together, what is tried again or given up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from study.tracking.address import masked
from study.tracking.entries import LogMetrics, OpenRun
from study.tracking.outbox import Outbox, Queued
from study.tracking.review_copy import ReviewCopy, is_final

IDLE_PAUSE_S: Final = 0.5
_POINTS_PER_CALL: Final = 1000  # MLflow's limit for one log_batch
_ENTRIES_PER_PASS: Final = 2000
_LONGEST_PAUSE_S: Final = 30.0

_log = logging.getLogger(__name__)


class _RunGoneError(Exception):
    """MLflow no longer has a run: its database was replaced, or the run was purged."""


def chunks(queued: Sequence[Queued], points: int) -> Iterator[tuple[Queued, ...]]:
    """Split a run's entries into calls, in order: neighbouring reports share one call.

    Args:
        queued: Entries of one run.
        points: Most metric values in a call; a single larger report is a call of its own.
    """
    together: list[Queued] = []
    size = 0
    for item in queued:
        added = len(item.entry.metrics) if isinstance(item.entry, LogMetrics) else points + 1
        if together and size + added > points:
            yield tuple(together)
            together, size = [], 0
        together.append(item)
        size += added
    if together:
        yield tuple(together)


def points_per_call(failures: int) -> int:
    """Make calls smaller while they fail: a slow server may not manage 1000 points in time."""
    return max(_POINTS_PER_CALL >> failures, 30)


def pause_s(failures: int) -> float:
    """Wait 1 s after the first failure in a row, then doubling, 30 s at most."""
    return min(2.0 ** min(failures - 1, 10), _LONGEST_PAUSE_S)


@dataclass(slots=True, kw_only=True)
class Drain:
    """Empties an outbox into a review copy; holds nothing that a kill could lose.

    Attributes:
        outbox: The queue.
        copy: MLflow.
        is_over: Tells that the parent is gone.
        secrets: Passwords that no message may show.
    """

    outbox: Outbox
    copy: ReviewCopy
    is_over: Callable[[], bool]
    secrets: tuple[str, ...] = ()
    _is_connected: bool = False
    _put_back: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Deliver until the parent is gone or, once told to finish, nothing is left to deliver."""
        failures = 0
        while not self.is_over():
            # Read before the queue: what is put before the flag is set is delivered.
            is_last = self.outbox.note("finish") is not None
            try:
                n_delivered = self.step(points_per_call(failures))
            except Exception as error:
                # Whatever MLflow does must neither end the delivery nor lose an entry.
                failures += 1
                self._note(error, failures)
                self._pause(pause_s(failures))
                continue
            failures = 0
            self.outbox.set_note("attempted", "yes")
            if n_delivered == 0:
                if is_last:
                    return
                self._pause(IDLE_PAUSE_S)

    def step(self, points: int) -> int:
        """Deliver what waits now, and give how many entries that was.

        A run whose delivery fails goes last in the next step, so that it delays itself only.

        Args:
            points: Most metric values in one call.
        """
        if not self._is_connected:
            self._bind(self.copy.connect())
            self._is_connected = True
        queued = self.outbox.undelivered(_ENTRIES_PER_PASS)
        by_run: dict[str, list[Queued]] = {}
        for item in queued:
            by_run.setdefault(item.entry.run_key or "", []).append(item)
        for run_key in sorted(by_run, key=self._put_back.__contains__):
            if self.is_over():
                break
            self._deliver_run(run_key, by_run[run_key], points)
        self._put_back.clear()
        return len(queued)

    def _bind(self, experiment_id: str) -> None:
        """Start over where the study's MLflow was exchanged for another one."""
        target = f"{masked(self.copy.address.uri, self.secrets)} {experiment_id}"
        if self.outbox.note("target") not in {None, target}:
            _log.info("MLflow is now %s: delivering everything again", target)
            self.outbox.reset()
        self.outbox.set_note("target", target)

    def _deliver_run(self, run_key: str, queued: Sequence[Queued], points: int) -> None:
        try:
            run_id = self._open(run_key) if run_key else None
            rest = [item for item in queued if not isinstance(item.entry, OpenRun)]
            if run_key and run_id is None:
                self._reject(rest, f"the run {run_key} was refused")
                return
            for chunk in chunks(rest, points):
                self._deliver(run_id, chunk)
        except Exception as error:
            self._put_back.add(run_key)
            if run_key and getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
                self.outbox.forget_run(run_key)
                raise _RunGoneError(
                    f"MLflow no longer has the run {run_key}: delivering it again; {error}"
                ) from error
            raise

    def _open(self, run_key: str) -> str | None:
        """Give MLflow's id of a run, made now if need be; None if MLflow refuses it."""
        opening = self.outbox.opening(run_key)
        if opening is None or not opening.is_waiting:
            return None if opening is None else opening.run_id
        entry, run_id = opening.entry, opening.run_id
        parent_id = None if entry.parent_key is None else self._open(entry.parent_key)
        try:
            if run_id is None:
                run_id = self.copy.find_run(run_key) or self.copy.create_run(entry, parent_id)
                self.outbox.remember_run(run_key, run_id)
            self.copy.describe_run(run_id, entry)
        except Exception as error:
            if not is_final(error):
                raise
            self.copy.connect()
            self._reject([Queued(seq=opening.seq, entry=entry)], str(error))
        else:
            self.outbox.mark_delivered([opening.seq], _now_ms())
        return run_id

    def _deliver(self, run_id: str | None, queued: Sequence[Queued]) -> None:
        """Send entries in one call; if it is refused, halve it until only the bad ones are."""
        try:
            self.copy.send(run_id, [item.entry for item in queued])
        except Exception as error:
            if not is_final(error):
                raise
            # An experiment that was deleted refuses everything: that is not the entry's fault.
            self.copy.connect()
            if len(queued) == 1:
                self._reject(queued, str(error))
                return
            middle = len(queued) // 2
            self._deliver(run_id, queued[:middle])
            self._deliver(run_id, queued[middle:])
        else:
            self.outbox.mark_delivered([item.seq for item in queued], _now_ms())

    def _reject(self, queued: Sequence[Queued], error: str) -> None:
        for item in queued:
            kind, run_key = type(item.entry).__name__, item.entry.run_key or "the experiment"
            text = masked(f"{kind} of {run_key}: {error}", self.secrets)
            _log.error("refused for good: %s", text)
            self.outbox.mark_rejected([item.seq], text)

    def _note(self, error: Exception, failures: int) -> None:
        text = masked(f"{type(error).__name__}: {error}", self.secrets)
        _log.warning("attempt %d failed: %s", failures, text)
        self.outbox.note_error(text, _now_ms())
        self.outbox.set_note("attempted", "yes")
        self._is_connected = False

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.is_over():
            time.sleep(min(IDLE_PAUSE_S, max(end - time.monotonic(), 0)))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
