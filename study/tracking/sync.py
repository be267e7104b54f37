"""Emptying the outbox into MLflow: what goes together, what is tried again or given up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from cluster.plain_errors import plain_reason
from study.records.errors import mask_passwords
from study.tracking.mlflow_mirror import MlflowMirror, is_permanent_error
from study.tracking.outbox import Outbox, QueuedRecord
from study.tracking.record_types import LogMetrics, OpenRun

IDLE_PAUSE_S: Final = 0.5
_POINTS_PER_CALL: Final = 1000  # MLflow's limit for one log_batch
_ENTRIES_PER_PASS: Final = 2000
_MAX_RETRY_DELAY_S: Final = 30.0

_log = logging.getLogger(__name__)


class _RunDeletedError(Exception):
    """MLflow no longer has a run: its database was replaced, or the run was purged."""


def split_calls(queued: Sequence[QueuedRecord], points: int) -> Iterator[tuple[QueuedRecord, ...]]:
    """Split a run's records into calls, in order; neighboring reports share one of most points."""
    batch: list[QueuedRecord] = []
    size = 0
    for item in queued:
        added = len(item.record.metrics) if isinstance(item.record, LogMetrics) else points + 1
        if batch and size + added > points:
            yield tuple(batch)
            batch, size = [], 0
        batch.append(item)
        size += added
    if batch:
        yield tuple(batch)


def points_per_call(failures: int) -> int:
    """Make calls smaller while they fail: a slow server may not manage 1000 points in time."""
    return max(_POINTS_PER_CALL >> failures, 30)


def retry_delay_s(failures: int) -> float:
    """Wait 1 s after the first failure in a row, then doubling, 30 s at most."""
    return min(2.0 ** min(failures - 1, 10), _MAX_RETRY_DELAY_S)


@dataclass(slots=True, kw_only=True)
class MlflowSync:
    """The loop that sends an outbox to MLflow; holds nothing that a kill could lose."""

    outbox: Outbox
    mirror: MlflowMirror
    should_stop: Callable[[], bool]
    secrets: tuple[str, ...] = ()
    _is_connected: bool = False
    _deferred: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Send until the parent is gone or, once told to finish, nothing is left to send."""
        failures = 0
        while not self.should_stop():
            # Read before the queue: what is put before the flag is set is sent.
            is_last = self.outbox.flag("finish") is not None
            try:
                n_sent = self.step(points_per_call(failures))
            except Exception as error:
                # No failure of MLflow may end the loop or lose a record.
                failures += 1
                self._log_failure(error, failures)
                self._pause(retry_delay_s(failures))
                continue
            failures = 0
            self.outbox.set_flag("attempted", "yes")
            if n_sent == 0:
                if is_last:
                    return
                self._pause(IDLE_PAUSE_S)

    def step(self, points: int) -> int:
        """Send what waits now, at most so many points a call; returns the number of records.

        A run that fails goes last in the next step, so that it delays itself only.
        """
        self.mirror.require_own_server()
        if not self._is_connected:
            self._check_target(self.mirror.connect())
            self._is_connected = True
        queued = self.outbox.next_batch(_ENTRIES_PER_PASS)
        by_run: dict[str, list[QueuedRecord]] = {}
        for item in queued:
            by_run.setdefault(item.record.run_key or "", []).append(item)
        for run_key in sorted(by_run, key=self._deferred.__contains__):
            if self.should_stop():
                break
            self._send_run(run_key, by_run[run_key], points)
        self._deferred.clear()
        return len(queued)

    def _check_target(self, experiment_id: str) -> None:
        """Start over where the study's MLflow was exchanged for another one."""
        target = f"{mask_passwords(self.mirror.address.uri, self.secrets)} {experiment_id}"
        if self.outbox.flag("target") not in {None, target}:
            _log.info("MLflow is now %s: sending everything again", target)
            self.outbox.requeue_all()
        self.outbox.set_flag("target", target)

    def _send_run(self, run_key: str, queued: Sequence[QueuedRecord], points: int) -> None:
        try:
            run_id = self._open(run_key) if run_key else None
            rest = [item for item in queued if not isinstance(item.record, OpenRun)]
            if run_key and run_id is None:
                self._reject(rest, f"the run {run_key} was refused")
                return
            for chunk in split_calls(rest, points):
                self._send(run_id, chunk)
        except Exception as error:
            self._deferred.add(run_key)
            if run_key and getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
                self.outbox.requeue_run(run_key)
                raise _RunDeletedError(
                    f"MLflow no longer has the run {run_key}: sending it again; {error}"
                ) from error
            raise

    def _open(self, run_key: str) -> str | None:
        """Return MLflow's id of a run, made now if need be; None if MLflow refuses it."""
        opening = self.outbox.opening(run_key)
        if opening is None or not opening.is_pending:
            return None if opening is None else opening.run_id
        record, run_id = opening.record, opening.run_id
        parent_id = None if record.parent_key is None else self._open(record.parent_key)
        try:
            if run_id is None:
                run_id = self.mirror.find_run(run_key) or self.mirror.create_run(record, parent_id)
                self.outbox.save_run_id(run_key, run_id)
            self.mirror.describe_run(run_id, record)
        except Exception as error:
            if not is_permanent_error(error):
                raise
            self.mirror.connect()
            self._reject([QueuedRecord(seq=opening.seq, record=record)], str(error))
        else:
            self.outbox.mark_sent([opening.seq])
        return run_id

    def _send(self, run_id: str | None, queued: Sequence[QueuedRecord]) -> None:
        """Send records in one call; if it is refused, halve it until only the bad ones are."""
        try:
            self.mirror.send(run_id, [item.record for item in queued])
        except Exception as error:
            if not is_permanent_error(error):
                raise
            # An experiment that was deleted refuses everything: no record is the cause.
            self.mirror.connect()
            if len(queued) == 1:
                self._reject(queued, str(error))
                return
            middle = len(queued) // 2
            self._send(run_id, queued[:middle])
            self._send(run_id, queued[middle:])
        else:
            self.outbox.mark_sent([item.seq for item in queued])

    def _reject(self, queued: Sequence[QueuedRecord], error: str) -> None:
        for item in queued:
            where = f"{item.record.kind} of {item.record.run_key or 'the experiment'}"
            text = mask_passwords(f"{where}: {error}", self.secrets)
            _log.error("refused for good: %s", text)
            self.outbox.mark_sent([item.seq], rejection=text)

    def _log_failure(self, error: Exception, failures: int) -> None:
        text = mask_passwords(plain_reason(error), self.secrets)
        _log.warning("attempt %d failed: %s", failures, text)
        self.outbox.save_error(text)
        self.outbox.set_flag("attempted", "yes")
        self._is_connected = False

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.should_stop():
            time.sleep(min(IDLE_PAUSE_S, max(end - time.monotonic(), 0)))
