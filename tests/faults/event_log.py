"""The log of a run with injected faults, and what the faults cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from study.records.trial_table import StoredReport, TrialTable
from tests.faults.schedule import FAULT_KINDS, Fault, FaultKind
from trainables.runtime.attempts import Attempt

# Survived until the audit finds otherwise; failed if the program broke a promise on the spot;
# skipped if there was nothing to inject into.
Outcome: TypeAlias = Literal["survived", "failed", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectedFault:
    """A fault and its outcome; times are in seconds since the study first trained."""

    fault: Fault
    at_s: float
    outcome: Outcome
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverExit:
    """An exit of the driver, the fault that explains it, and the end of its log."""

    at_s: float
    code: int
    cause: str | None
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLog:
    """All faults and exits in their order; finished if the driver ended by itself with 0."""

    injected: tuple[InjectedFault, ...] = ()
    ends: tuple[DriverExit, ...] = ()
    n_starts: int = 1
    is_finished: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultCounts:
    """Faults of one kind."""

    done: int
    survived: int
    skipped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultCosts:
    """Costs of a run; an attempt is a process that began or continued a trial."""

    faults: Mapping[FaultKind, FaultCounts]
    driver_starts: int
    trials: int
    attempts: int
    most_attempts: int
    epochs: int
    epochs_redone: int

    @property
    def redone_share(self) -> float:
        """Epochs trained again, as a share of those that were needed."""
        return self.epochs_redone / self.epochs if self.epochs else 0.0


def count_costs(
    event_log: EventLog, table: TrialTable, attempts: Mapping[str, Sequence[Attempt]]
) -> FaultCosts:
    """Count faults, starts and work; attempts at each trial come the earliest first."""
    rows = {f"{row.arm}/{row.phase}/{row.number}": row for row in table.rows}
    counts = [len(attempts.get(key, ())) for key in rows]
    return FaultCosts(
        faults={kind: _counts(event_log, kind) for kind in FAULT_KINDS},
        driver_starts=event_log.n_starts,
        trials=len(rows),
        attempts=sum(counts),
        most_attempts=max(counts, default=0),
        epochs=sum(row.reports[-1].epoch for row in rows.values() if row.reports),
        epochs_redone=sum(
            epochs_redone(attempts.get(key, ()), row.reports) for key, row in rows.items()
        ),
    )


def epochs_redone(attempts: Sequence[Attempt], reports: Sequence[StoredReport]) -> int:
    """Count the epochs that were reported before an attempt which trained them again.

    A repeated report is stored with its first time.

    Example:
        >>> reports = [
        ...     StoredReport(epoch=epoch, time_ms=10 * epoch, metrics={}) for epoch in range(4)
        ... ]
        >>> again = Attempt(from_epoch=1, started_ms=35, host="here", pid=1)
        >>> epochs_redone([again], reports), epochs_redone([], reports)
        (2, 0)
    """
    redone = 0
    for attempt in attempts:
        known = [report.epoch for report in reports if report.time_ms <= attempt.started_ms]
        redone += max(0, max(known, default=0) - attempt.from_epoch)
    return redone


def _counts(event_log: EventLog, kind: FaultKind) -> FaultCounts:
    outcomes = [injected.outcome for injected in event_log.injected if injected.fault.kind == kind]
    skipped = outcomes.count("skipped")
    return FaultCounts(
        done=len(outcomes) - skipped, survived=outcomes.count("survived"), skipped=skipped
    )
