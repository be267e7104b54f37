"""Several arms over one dimension, and below the difference of each to its Base."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pandas as pd

from study.figures.figure import Figure, ReportSource, Subject
from study.figures.marks import Axis, Panel, Plane, grid, panel, rings, rule_at, stack, trend
from study.figures.rendering import Chart
from study.figures.sweep_curve import METRICS, along, difference_frame, is_categorical, mean_frame
from study.figures.theme import Look, looks_by_arm
from study.sensitivity import (
    CONFIDENCE,
    ArmCurves,
    DimensionCurve,
    arm_curves,
    arm_label,
    dimension_axis,
    dimension_symbol,
    metric_label,
    shared_sweeps,
)

_GROUPS = (("accuracy and AUC", METRICS), ("filter cosine", ("filter_cosine/mean",)))


def subjects(source: ReportSource) -> Iterator[Subject]:
    """Return every dimension that several arms sweep: accuracy and AUC, and filter cosine."""
    for dimension, arms in shared_sweeps(source.table).items():
        for name, metrics in _GROUPS:
            symbol = dimension_symbol(dimension)
            yield Subject(
                title=f"{name[0].upper()}{name[1:]} of several arms over {symbol}",
                name=("arms-over", dimension, metrics[0]),
                arms=arms,
                read=partial(arm_curves, source.table, dimension, metrics),
            )


def chart(record: ArmCurves) -> Chart:
    """Draw a column per metric: all arms, below it their differences to Base."""
    pairs = [(c.arm, c.method) for group in record.curves for c in group]
    looks = looks_by_arm(pairs)
    named = {arm_label(arm, method): looks[arm] for arm, method in pairs}
    columns = [
        _column(metric, group, named)
        for metric, group in zip(record.metrics, record.curves, strict=True)
    ]
    return grid(columns, columns=len(columns), least=280)


def caption(record: ArmCurves) -> str:
    """Write n, interval, Base and the correction of the differences."""
    counts = sorted({curve.n for group in record.curves for curve in group})
    text = (
        f"Arms over {dimension_symbol(record.dimension)}, all else at each arm's chosen "
        f"configuration: mean of n = {' or '.join(map(str, counts))} replicas on fresh seeds, "
        f"band: {CONFIDENCE:.0%} Student's t interval of the mean. Ring: the value that the "
        f"search chose. Below: arm minus its Base over replicas with the same seed; filled: "
        f"p < 0.05 after Holm's correction over the values of an arm."
    )
    return " ".join((text, *record.notes))


def _column(metric: str, group: tuple[DimensionCurve, ...], looks: dict[str, Look]) -> Panel:
    label, first = metric_label(metric), _longest(group)
    has_base = any(point.to_base for curve in group for point in curve.points)
    is_joined = not any(map(is_categorical, group))
    title = dimension_axis(first.dimension)
    upper = Plane(x=along(first, "" if has_base else title), y=Axis(), looks=looks)
    frame = pd.concat([mean_frame(curve) for curve in group], ignore_index=True)
    shown = panel(
        trend(frame, upper, is_joined=is_joined),
        rings(frame[frame["is_chosen"]], upper),
        title=label.axis,
        height=200,
    )
    if not has_base:
        return shown
    unit = label.difference_unit
    lower = Plane(x=along(first, title), y=Axis(is_signed=True), looks=looks)
    frames = [difference_frame(curve, label.factor, unit) for curve in group]
    below = pd.concat(frames, ignore_index=True)
    return stack(
        shown,
        panel(
            rule_at(0.0, lower),
            trend(below, lower, is_joined=is_joined),
            unit=f"minus Base, {unit}".removesuffix(", "),
            height=140,
        ),
    )


def _longest(group: tuple[DimensionCurve, ...]) -> DimensionCurve:
    return max(group, key=lambda curve: len(curve.points))


FIGURE = Figure(subjects=subjects, chart=chart, caption=caption, place="sensitivity")
