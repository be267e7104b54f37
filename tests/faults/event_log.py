"""The log of a run with injected faults, and what the faults cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from study.records.trial_table import StoredReport, TrialTable
from tests.faults.schedule import FAULT_KINDS, Fault, FaultKind
from trainables.runtime.attempts import Attempt

Outcome: TypeAlias = Literal["survived", "failed", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectedFault:
    """A blow and what came of it at once.

    Attributes:
        blow: What was planned.
        at_s: When it was struck, in seconds since the study first trained.
        outcome: ``survived`` until the audit says otherwise; ``failed`` if the program broke a
            promise on the spot; ``skipped`` if there was nothing to strike.
        note: What was struck, or why not, for people.
    """

    fault: Fault
    at_s: float
    outcome: Outcome
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverExit:
    """An end of the driver.

    Attributes:
        at_s: When, in seconds since the study first trained.
        code: Its exit code, negative for a signal.
        cause: The blow that explains it, or None.
        said: The end of its log.
    """

    at_s: float
    code: int
    cause: str | None
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLog:
    """A run of blows.

    Attributes:
        struck: Blows in the order in which they were struck.
        ends: Ends of the driver.
        n_starts: How often the driver was started.
        n_planned: How many blows were planned.
        seconds: From the first training to the end of the study or of our patience.
        is_finished: Whether the driver came to its end by itself, with exit code 0.
    """

    injected: tuple[InjectedFault, ...] = ()
    ends: tuple[DriverExit, ...] = ()
    n_starts: int = 1
    n_planned: int = 0
    seconds: float = 0.0
    is_finished: bool = True

    def of(self, outcome: Outcome) -> Iterable[InjectedFault]:
        """Give the blows that came out so."""
        return (injected for injected in self.injected if injected.outcome == outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultCounts:
    """Blows of one kind.

    Attributes:
        done: How many were struck.
        survived: After how many the program did what it promises on the spot.
        skipped: How many found nothing to strike.
    """

    done: int
    survived: int
    skipped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultCosts:
    """What a run of blows cost.

    Attributes:
        blows: By kind.
        driver_starts: How often the driver was started.
        trials: Trials of the study.
        attempts: How often a process took a trial up, over all trials.
        most_attempts: The most of a single trial.
        epochs: Epochs of all trials.
        epochs_redone: Epochs that had been reported and were trained again.
    """

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


def costs(
    event_log: EventLog, table: TrialTable, attempts: Mapping[str, Sequence[Attempt]]
) -> FaultCosts:
    """Count blows, starts and work.

    Args:
        chronicle: What happened.
        table: All trials.
        attempts: Attempts at each trial, the earliest first.
    """
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
    """Count the epochs of a trial that were reported before an attempt which trained them again.

    Args:
        attempts: The earliest first.
        reports: By increasing epoch; a repeated report is stored with its first time.
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
