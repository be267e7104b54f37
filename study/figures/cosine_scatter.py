"""Accuracy over filter cosine, trial by trial, with the correlation."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from study.figures.figure import Figure, per_workload
from study.figures.marks import Axis, Panel, Plane, grid, panel, points
from study.figures.rendering import Chart
from study.figures.theme import Look, looks_by_arm
from study.records.errors import ReportError
from study.records.trial_table import PhaseName, TrialTable
from study.sensitivity import (
    CONFIDENCE,
    Correlation,
    CosineAndAccuracy,
    Workload,
    arm_label,
    cosine_and_accuracy,
    metric_label,
)


def chart(records: Sequence[CosineAndAccuracy]) -> Chart:
    """Draw a panel per record: a point per trial, by arm."""
    pairs = [(arm.arm, arm.method) for record in records for arm in record.arms]
    looks = looks_by_arm(pairs)
    named = {arm_label(arm, method): looks[arm] for arm, method in pairs}
    panels = [_panel(record, named) for record in records]
    return grid(panels, columns=len(panels), least=260)


def caption(records: Sequence[CosineAndAccuracy]) -> str:
    """Write the meaning of a point, and the correlations with their intervals."""
    first = records[0]
    parts = [
        f"A point is one completed trial on {first.dataset}, {first.model}: means over its "
        f"replicas at the last evaluation; r: Pearson's correlation with {CONFIDENCE:.0%} Fisher "
        f"interval, as if trials were independent (those of an arm share their seeds)."
    ]
    for record in records:
        found = [f"all {correlation(record.overall)}"] if record.overall else []
        found += [
            f"{arm_label(arm.arm, arm.method)} {correlation(arm.correlation)}"
            for arm in record.arms
            if arm.correlation and len(record.arms) > 1
        ]
        parts.append(f"{record.phase.capitalize()} trials: {', '.join(found) or 'no spread'}.")
    return " ".join(parts)


def correlation(found: Correlation) -> str:
    """Return a correlation as text: ``r = −0.41 [−0.70, 0.02], n = 20``."""
    text = f"r = {found.r:.2f} [{found.low:.2f}, {found.high:.2f}], n = {found.n}"
    return text.replace("-", "−")


def _read(table: TrialTable, workload: Workload) -> list[CosineAndAccuracy]:
    records, reasons = [], []
    objective = table.objective
    wanted: tuple[tuple[PhaseName, str], ...] = (
        ("search", objective),
        ("final", f"test/{objective.partition('/')[2]}"),
    )
    for phase, metric in wanted:
        try:
            records.append(cosine_and_accuracy(table, workload, phase, metric))
        except ReportError as error:
            reasons.append(str(error))
    if not records:
        raise ReportError(" ".join(reasons))
    return records


def _panel(record: CosineAndAccuracy, looks: dict[str, Look]) -> Panel:
    label = metric_label(record.metric)
    plane = Plane(x=Axis(title="Filter cosine, mean over layers"), y=Axis(), looks=looks)
    frame = pd.DataFrame(
        [
            {
                "arm": (name := arm_label(arm.arm, arm.method)),
                "x": point.cosine,
                "y": point.accuracy * label.factor,
                "told": f"{name}, trial {point.number}\ncosine {point.cosine:.4f}, {label.name} "
                f"{point.accuracy * label.factor:.{label.digits}f}{label.unit}",
            }
            for arm in record.arms
            for point in arm.points
        ]
    )
    return panel(
        points(frame, plane),
        title=f"{record.phase.capitalize()} trials",
        unit=label.axis,
        height=220,
    )


FIGURE = Figure(
    subjects=per_workload("Filter cosine and accuracy", "filter-cosine-and-accuracy", _read),
    chart=chart,
    caption=caption,
    place="filters",
    is_folded=True,
)
