"""What the blows cost: how many there were, and how much was trained twice because of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from study.chaos.chronicle import Chronicle
from study.chaos.plan import KINDS, Kind
from study.trial_table import StoredReport, TrialTable
from trainables.attempts import Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
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
class Account:
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

    blows: Mapping[Kind, Tally]
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


def account(
    chronicle: Chronicle, table: TrialTable, attempts: Mapping[str, Sequence[Attempt]]
) -> Account:
    """Count blows, starts and work.

    Args:
        chronicle: What happened.
        table: All trials.
        attempts: Attempts at each trial, the earliest first.
    """
    rows = {f"{row.arm}/{row.phase}/{row.number}": row for row in table.rows}
    counts = [len(attempts.get(key, ())) for key in rows]
    return Account(
        blows={kind: _tally(chronicle, kind) for kind in KINDS},
        driver_starts=chronicle.n_starts,
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


def _tally(chronicle: Chronicle, kind: Kind) -> Tally:
    outcomes = [struck.outcome for struck in chronicle.struck if struck.blow.kind == kind]
    skipped = outcomes.count("skipped")
    return Tally(
        done=len(outcomes) - skipped, survived=outcomes.count("survived"), skipped=skipped
    )
