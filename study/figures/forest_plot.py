"""Arms minus Base with intervals, a column per metric."""

from __future__ import annotations

from dataclasses import replace

import altair as alt
import pandas as pd

from study.figures.amounts import difference_row, p_value, power_of_ten, rounded
from study.figures.figure import Figure, per_workload
from study.figures.marks import (
    DAGGER,
    Axis,
    Layers,
    Panel,
    Plane,
    bars,
    grid,
    panel,
    points,
    words,
)
from study.figures.rendering import Chart
from study.figures.sweep_curve import chance_note
from study.figures.theme import looks_by_arm
from study.records.errors import ReportError
from study.records.trial_table import TrialTable
from study.sensitivity import (
    CONFIDENCE,
    ArmComparison,
    Comparison,
    CorrectedDifference,
    Workload,
    arm_label,
    compare,
    metric_label,
    workloads_with_base,
)

METRICS = ("test/accuracy", "test/auc", "test/nll", "test/ece10", "filter_cosine/mean")
_ROW, _FRAME, _ZERO = 58, 8, 20


def chart(record: Comparison) -> Chart:
    """Draw a row per arm and a panel per metric, a mark at 0 of each bar; p < 0.05 is filled."""
    rows = _compared(record)
    metrics = [m for m in METRICS if any(_found(row, m) for row in rows)]
    panels = [_panel(rows, metric) for metric in metrics]
    return grid(panels, columns=len(panels), least=150)


def caption(record: Comparison) -> str:
    """Write n, interval, test and family."""
    rows = _compared(record)
    counts = sorted({len(row.seeds) for row in rows})
    families = sorted({f.family for row in rows for m in METRICS if (f := _found(row, m))})
    return " ".join(
        (
            f"Each arm at its chosen configuration, minus Base over n = "
            f"{' or '.join(map(str, counts))} replicas with the same fresh seed; bars: "
            f"{CONFIDENCE:.0%} Student's t interval. p: paired t test after Holm's correction "
            f"over the {' or '.join(map(str, families))} arms of a metric; filled: p < 0.05. "
            f"Tinted: the side on which an arm is better.",
            *filter(None, [chance_note((_name(row), row.at_chance) for row in record.rows)]),
            *record.notes,
        )
    )


def _read(table: TrialTable, workload: Workload) -> Comparison:
    found = compare(table, METRICS)
    names = {arm.name for arm in workload.arms}
    kept = replace(found, rows=tuple(row for row in found.rows if row.arm in names))
    if not _compared(kept):
        raise ReportError(
            f"no arm on {workload.dataset} with {workload.model} has a difference to Base yet "
            f"({' '.join(found.notes)})"
        )
    return kept


def _compared(record: Comparison) -> list[ArmComparison]:
    return [row for row in record.rows if any(_found(row, metric) for metric in METRICS)]


def _found(row: ArmComparison, metric: str) -> CorrectedDifference | None:
    measurement = row.get(metric)
    return None if measurement is None else measurement.to_control


def _panel(rows: list[ArmComparison], metric: str) -> Panel:
    label = metric_label(metric)
    found = [(row, one) for row in rows if (one := _found(row, metric))]
    factor, unit, digits = label.factor, label.difference_unit, label.digits
    if not unit:
        factor, unit = power_of_ten(one.difference.interval.mean for _, one in found)
        # The largest has two digits or three.
        digits = 2 if factor == 1 else 1
    looks = looks_by_arm((row.arm, row.method) for row in rows)
    names = {row.arm: _name(row) for row in rows}
    frame = pd.DataFrame(
        [
            difference_row(one, factor, unit, where=f"{names[row.arm]} − Base: {label.name}")
            | {
                "arm": names[row.arm],
                "x": one.difference.interval.mean * factor,
                "y": names[row.arm],
                "words": f"{names[row.arm]}\n"
                f"{rounded(one.difference.interval.mean * factor, digits)}, {p_value(one.p_holm)}",
            }
            for row, one in found
        ]
    )
    plane = Plane(
        x=Axis(is_signed=True),
        y=Axis(names=tuple(names.values()), is_hidden=True),
        has_legend=False,
        looks={names[arm]: look for arm, look in looks.items()},
    )
    return panel(
        _better_side(frame, plane, label.direction),
        _zeros(frame, plane),
        bars(frame, plane, along="x"),
        points(frame, plane, size=60),
        words(frame, plane, at=0, dy=-22, lineBreak="\n"),
        title=_title(metric),
        unit=unit or "difference",
        height=_FRAME + _ROW * len(names),
    )


def _name(row: ArmComparison) -> str:
    return arm_label(row.arm, row.method) + (f" {DAGGER}" if row.at_chance else "")


def _title(metric: str) -> str:
    title = metric_label(metric).title.removeprefix("Test ").replace(", mean over layers", "")
    return title[0].upper() + title[1:]


def _zeros(frame: pd.DataFrame, plane: Plane) -> Layers:
    """Draw zero as a piece of a line at the bar of every row, below its words."""
    zeros = alt.Chart(pd.DataFrame({"x": 0.0, "y": frame["y"]}))
    mark = alt.MarkDef(type="tick", style="zero", orient="vertical", size=_ZERO, yOffset=_ZERO / 5)
    return [zeros.encode(x=plane.at("x", "x"), y=plane.at("y", "y")).properties(mark=mark)]


def _better_side(frame: pd.DataFrame, plane: Plane, direction: str) -> Layers:
    """Tint the side of zero on which an arm is better, as far as its panel reaches."""
    sign = 1 if direction == "maximize" else -1
    reach = max([0.0, *(sign * value for end in ("low", "high") for value in frame[end])])
    side = pd.DataFrame({"x": [0.0], "to": [sign * reach]})
    tint = alt.Chart(side, mark=alt.MarkDef(type="rect", opacity=0.09, color="#008560"))
    return [tint.encode(x=plane.at("x", "x"), x2="to:Q")]


FIGURE = Figure(
    subjects=per_workload("Arms minus Base", "minus-base", _read, workloads_with_base),
    chart=chart,
    caption=caption,
)
