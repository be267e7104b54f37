"""CPU and GPU hours of a study by arm, phase and state of the trials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from study.records.errors import ReportError
from study.records.frames import Row, Tabular
from study.records.trial_table import PhaseName, TrialRow, TrialState, TrialTable

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """The trials of one arm, phase and state.

    Attributes:
        hours: Hours of training, summed over trials.
        cpu_hours: CPU time of the training processes.
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
class Cost(Tabular):
    """The usage that the reports of all trials hold.

    The work of a lost process after its last report is not counted.

    Attributes:
        rows: By arm, phase and state, in the order of the table, without empty ones.
        unmeasured: Number of trials whose reports hold no usage.
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

    def frame_rows(self) -> Iterator[Row]:
        """Yield a row per arm, phase and state."""
        yield from map(asdict, self.rows)


def cost(table: TrialTable) -> Cost:
    """Sum the usage of trials by arm, phase and state.

    Raises:
        ReportError: If no trial has reported its usage.
    """
    groups: dict[tuple[str, PhaseName, TrialState], list[TrialRow]] = {}
    for row in table.rows:
        groups.setdefault((row.arm, row.phase, row.state), []).append(row)
    unmeasured = sum(bool(row.reports) and not row.used("trained_s") for row in table.rows)
    if not any(row.used("trained_s") for row in table.rows):
        raise ReportError(
            f"study '{table.study}': the cost needs trials that report their usage, but none of "
            f"{len(table.rows)} does yet."
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


def _hours(rows: list[TrialRow], name: str) -> float:
    return sum(row.used(name) for row in rows) / _HOUR_S
