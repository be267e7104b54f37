"""What a study cost, as a table."""

from __future__ import annotations

from study.report.tables import Table
from study.report.wording import STATES
from study.sensitivity import Cost


def cost_table(record: Cost) -> Table:
    """Show hours by arm, phase and state, the sum last."""
    total = (
        "all",
        "",
        "",
        str(sum(row.trials for row in record.rows)),
        hours(sum(row.hours for row in record.rows)),
        hours(record.cpu_hours),
        hours(record.gpu_hours),
    )
    unmeasured = (
        f" {record.unmeasured} trials do not say what they used." if record.unmeasured else ""
    )
    return Table(
        title="Hours by arm, phase and state",
        columns=("Arm", "Phase", "State", "Trials", "Training [h]", "CPU [h]", "GPU [h]"),
        rows=(
            *(
                (
                    row.arm,
                    row.phase,
                    STATES[row.state],
                    str(row.trials),
                    hours(row.hours),
                    hours(row.cpu_hours),
                    hours(row.gpu_hours),
                )
                for row in record.rows
            ),
            total,
        ),
        note="Training: trials one after the other, all replicas of a trial together. GPU: time "
        "on a GPU times the trial's share of it. What a lost process did after its last report "
        f"is not counted.{unmeasured}",
    )


def hours(value: float) -> str:
    """Write hours, with minutes where there are few: ``0.034``, ``2.41``, ``310``."""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:.0f}"
