"""What a study has used of its machines, and what of that came to nothing."""

from __future__ import annotations

from dataclasses import dataclass

from study.records.errors import ReportError
from study.records.trial_table import PhaseName, TrialRow, TrialState, TrialTable

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """The trials of one arm, phase and state.

    Attributes:
        arm: Name of the arm.
        phase: ``search`` or ``final``.
        state: State of the trials.
        trials: Number of trials.
        hours: Hours of training, one trial after the other.
        cpu_hours: Hours of CPU time of the processes that trained.
        gpu_hours: Hours on a GPU times the trial's share of it.
    """

    arm: str
    phase: PhaseName
    state: TrialState
    trials: int
    hours: float
    cpu_hours: float
    gpu_hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the reports of all trials say they used.

    What a lost process did after its last report is in no report, and in no number here.

    Attributes:
        study: Name of the study.
        rows: By arm, phase and state, in the order of the table; only what has trials.
        unmeasured: Trials with reports that say nothing of what they used.
    """

    study: str
    rows: tuple[CostRow, ...]
    unmeasured: int

    @property
    def cpu_hours(self) -> float:
        """CPU hours of all trials."""
        return sum(row.cpu_hours for row in self.rows)

    @property
    def gpu_hours(self) -> float:
        """GPU hours of all trials."""
        return sum(row.gpu_hours for row in self.rows)


def cost(table: TrialTable) -> Cost:
    """Add up what trials used, by arm, phase and state.

    Raises:
        ReportError: If no trial says what it used.
    """
    groups: dict[tuple[str, PhaseName, TrialState], list[TrialRow]] = {}
    for row in table.rows:
        groups.setdefault((row.arm, row.phase, row.state), []).append(row)
    unmeasured = sum(bool(row.reports) and not row.used("trained_s") for row in table.rows)
    if not any(row.used("trained_s") for row in table.rows):
        raise ReportError(
            f"study '{table.study}': the cost needs trials that say what they used, but none of "
            f"{len(table.rows)} does; trials of the first versions did not."
        )
    return Cost(
        study=table.study,
        rows=tuple(
            CostRow(
                arm=arm,
                phase=phase,
                state=state,
                trials=len(rows),
                hours=_hours(rows, "trained_s"),
                cpu_hours=_hours(rows, "cpu_s"),
                gpu_hours=_hours(rows, "gpu_s"),
            )
            for (arm, phase, state), rows in groups.items()
        ),
        unmeasured=unmeasured,
    )


def _hours(rows: list[TrialRow], what: str) -> float:
    return sum(row.used(what) for row in rows) / _HOUR_S
