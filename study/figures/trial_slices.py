"""Trials of a search: the objective over each dimension."""

from __future__ import annotations

import pandas as pd

from search_spaces import CategoricalDimension, Dimension, IntDimension
from study.figures.amounts import plain
from study.figures.figure import Figure, per_arm
from study.figures.marks import Axis, Panel, Plane, grid, panel, points, rings
from study.figures.rendering import Chart
from study.figures.theme import NEUTRAL, Look, look_of
from study.figures.trial_history import COMPLETED, PRUNED
from study.sensitivity import (
    SearchPoint,
    SearchPoints,
    arm_label,
    dimension_axis,
    dimension_symbol,
    metric_label,
    search_points,
)

_MANY = 300


def chart(record: SearchPoints) -> Chart:
    """Draw a panel per dimension on one vertical scale; a ring around the best trial."""
    panels = [_panel(record, name, axis) for name, axis in record.dimensions.items()]
    return grid(panels, columns=min(3, len(panels)), least=200)


def caption(record: SearchPoints) -> str:
    """Write the meaning of a point, and the number of trials not shown."""
    return (
        f"{metric_label(record.objective).title} of each search trial of "
        f"{arm_label(record.arm, record.method)} over each dimension, proposed by "
        f"{record.sampler}: mean of {record.replicas} replicas at its last evaluation, whatever "
        f"the other dimensions were. Ring: the best completed trial. {without_value(record)}"
    ).strip()


def without_value(record: SearchPoints) -> str:
    """Return how many trials have no value, as a sentence; empty if all have one."""
    if not record.n_without_value:
        return ""
    if record.n_without_value == 1:
        return "One trial without a value is not shown."
    return f"{record.n_without_value} trials without a value are not shown."


def said_of(record: SearchPoints, point: SearchPoint) -> str:
    """Return the tooltip of a trial."""
    label = metric_label(record.objective)
    value = f"{(point.value or 0.0) * label.factor:.{label.digits}f}"
    params = ", ".join(f"{dimension_symbol(k)} = {plain(v)}" for k, v in point.params.items())
    return f"trial {point.number}: {label.name} {value}{label.unit}\n{params}"


def _panel(record: SearchPoints, name: str, axis: Dimension) -> Panel:
    label = metric_label(record.objective)
    values = [(point.value or 0.0) * label.factor for point in record.points]
    margin = 0.06 * (max(values) - min(values)) or 0.01
    is_choice = isinstance(axis, CategoricalDimension)
    frame = pd.DataFrame(
        [
            {
                "arm": COMPLETED if point.state == "COMPLETE" else PRUNED,
                "x": plain(point.params[name]) if is_choice else point.params[name],
                "y": (point.value or 0.0) * label.factor,
                "is_filled": point.state == "COMPLETE",
                "is_best": point.number == record.best,
                "told": said_of(record, point),
            }
            for point in record.points
            if name in point.params
        ]
    )
    looks = {
        COMPLETED: look_of(record.method),
        PRUNED: Look(color=NEUTRAL, shape="triangle-down"),
    }
    shown = {point.state == "COMPLETE" for point in record.points}
    plane = Plane(
        x=_axis(name, axis),
        y=Axis(domain=(min(values) - margin, max(values) + margin)),
        looks=looks if False in shown else {COMPLETED: looks[COMPLETED]},
    )
    return panel(
        points(frame, plane, size=12 if len(frame) > _MANY else 36),
        rings(frame[frame["is_best"]], plane) if len(frame) else [],
        title=dimension_symbol(name),
        unit=label.axis,
        height=150,
    )


def _axis(name: str, axis: Dimension) -> Axis:
    title = dimension_axis(name)
    if isinstance(axis, CategoricalDimension):
        return Axis(title=title, names=tuple(map(plain, axis.choices)))
    is_integer = isinstance(axis, IntDimension) and not axis.log
    return Axis(title=title, is_integer=is_integer, is_log=axis.log)


FIGURE = Figure(
    subjects=per_arm("Trials of the search of {arm}", "search-slices", search_points),
    chart=chart,
    caption=caption,
    place="searches",
)
