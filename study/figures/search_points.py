"""Where a search has been: its points over each dimension, and all dimensions side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator

from search_spaces import CategoricalDimension, Dimension, IntDimension
from study.figures.chart import Axis, Chart, Panel, Series, in_rows
from study.figures.style import BEST_LOOK, OTHER_LOOK, PRUNED_LOOK, Look, look
from study.records.trial_table import ParamValue
from study.sensitivity import (
    SearchPoint,
    SearchPoints,
    arm_label,
    dimension_axis,
    dimension_symbol,
    metric_label,
)

_COLUMNS = 3
_BEST_SHARE = 0.1


def slices(record: SearchPoints) -> Chart:
    """Draw a panel per dimension: the objective of each trial over its value."""
    panels = [_slice(record, name, axis) for name, axis in record.dimensions.items()]
    rows = in_rows(panels, _COLUMNS)
    return Chart(
        rows=rows, caption=slices_caption(record), heights=(2.3,) * len(rows), shares_y=True
    )


def coordinates(record: SearchPoints) -> Chart:
    """Draw a line per completed trial through its dimensions, the best tenth above the rest."""
    completed = _completed(record)
    groups = (
        ("other completed trials", OTHER_LOOK, completed[_count_best(completed) :], 0.35),
        ("best tenth", BEST_LOOK, completed[: _count_best(completed)], 0.9),
    )
    panel = Panel(
        title=f"Trials of {arm_label(record.arm, record.method)}",
        x=Axis(ticks=tuple((float(i), t) for i, t in enumerate(_heads(record)))),
        y=Axis(
            title="Place in the searched range",
            ticks=((0.0, "low"), (0.5, "middle"), (1.0, "high")),
        ),
        series=tuple(
            _lines(record, name, style, points, opacity)
            for name, style, points, opacity in groups
            if points
        ),
    )
    return Chart(rows=((panel,),), caption=coordinates_caption(record), heights=(3.3,))


def slices_caption(record: SearchPoints) -> str:
    """Say what a point is."""
    return (
        f"{metric_label(record.objective).title} of each search trial of "
        f"{arm_label(record.arm, record.method)} over each dimension, proposed by "
        f"{record.sampler}: mean of {record.replicas} replicas at its last evaluation, whatever "
        f"the other dimensions were. Ring: the best completed trial. {_without(record)}"
    ).strip()


def coordinates_caption(record: SearchPoints) -> str:
    """Say what a line is, and where the axes end."""
    ends = "; ".join(
        f"{dimension_symbol(name)} {_say(axis)}" for name, axis in record.dimensions.items()
    )
    return (
        f"A line is one of n = {len(_completed(record))} completed search trials; on the last "
        f"axis its {metric_label(record.objective).name}, mean of {record.replicas} replicas, "
        f"from the lowest to the highest that occurred. "
        f"{ends}. {_without(record)}"
    ).strip()


def _slice(record: SearchPoints, name: str, axis: Dimension) -> Panel:
    label, style = metric_label(record.objective), look(record.method)
    own = [point for point in record.points if name in point.params]
    groups = (
        ("completed", style, [p for p in own if p.state == "COMPLETE"], False),
        ("stopped early", PRUNED_LOOK, [p for p in own if p.state != "COMPLETE"], True),
    )
    return Panel(
        title=dimension_symbol(name),
        x=_axis(name, axis),
        y=Axis(title=label.axis),
        series=tuple(
            Series(
                name=title,
                look=look_,
                x=tuple(_place(axis, p.params[name]) for p in points),
                y=tuple((p.value or 0.0) * label.factor for p in points),
                mark="points",
                is_hollow=is_hollow,
                opacity=0.8,
                hover=tuple(_hover(record, p) for p in points),
                ringed=tuple(i for i, p in enumerate(points) if p.number == record.best),
                ring_name="best completed trial",
            )
            for title, look_, points, is_hollow in groups
            if points
        ),
    )


def _lines(
    record: SearchPoints, name: str, style: Look, points: list[SearchPoint], opacity: float
) -> Series:
    """Give one series for all trials: with one each, thousands would take minutes to draw."""
    ends = _ends(record)
    places = [
        (*place, _hover(record, point))
        for point in reversed(points)
        for place in [*_line(record, point, ends), (0.0, math.nan)]
    ][:-1]
    x, y, hover = zip(*places, strict=True)
    return Series(name=name, look=style, x=x, y=y, mark="plain", opacity=opacity, hover=hover)


def _line(
    record: SearchPoints, point: SearchPoint, ends: tuple[float, float]
) -> Iterator[tuple[float, float]]:
    for i, (name, axis) in enumerate(record.dimensions.items()):
        if name in point.params:
            yield float(i), _share(axis, point.params[name])
    low, high = ends
    value = ((point.value or 0.0) - low) / (high - low) if high > low else 0.5
    yield float(len(record.dimensions)), value


def _completed(record: SearchPoints) -> list[SearchPoint]:
    sign = -1 if record.direction == "maximize" else 1
    return sorted(
        (p for p in record.points if p.state == "COMPLETE"), key=lambda p: sign * (p.value or 0.0)
    )


def _count_best(completed: list[SearchPoint]) -> int:
    return max(1, math.ceil(_BEST_SHARE * len(completed)))


def _ends(record: SearchPoints) -> tuple[float, float]:
    """Give the lowest and the highest objective of the completed trials."""
    values = [p.value or 0.0 for p in record.points if p.state == "COMPLETE"]
    return min(values), max(values)


def _heads(record: SearchPoints) -> list[str]:
    return [*map(dimension_symbol, record.dimensions), metric_label(record.objective).name]


def _axis(name: str, axis: Dimension) -> Axis:
    if isinstance(axis, CategoricalDimension):
        ticks = tuple((float(i), str(choice)) for i, choice in enumerate(axis.choices))
        return Axis(title=dimension_axis(name), ticks=ticks)
    return Axis(
        title=dimension_axis(name),
        is_integer=isinstance(axis, IntDimension) and not axis.log,
        is_log=axis.log,
    )


def _place(axis: Dimension, value: ParamValue) -> float:
    if isinstance(axis, CategoricalDimension):
        return float(axis.choices.index(value))
    return float(value)


def _share(axis: Dimension, value: ParamValue) -> float:
    """Give where a value lies in its range, from 0 to 1, on the scale of the search."""
    place = _place(axis, value)
    if isinstance(axis, CategoricalDimension):
        return place / max(1, len(axis.choices) - 1)
    low, high = float(axis.low), float(axis.high)
    if axis.log:
        low, high, place = math.log(low), math.log(high), math.log(place)
    return (place - low) / (high - low) if high > low else 0.5


def _say(axis: Dimension) -> str:
    if isinstance(axis, CategoricalDimension):
        return f"from {axis.choices[0]} to {axis.choices[-1]}"
    return f"from {axis.low:g} to {axis.high:g}{' (log)' if axis.log else ''}"


def _hover(record: SearchPoints, point: SearchPoint) -> str:
    label = metric_label(record.objective)
    value = f"{(point.value or 0.0) * label.factor:.{label.digits}f}"
    params = ", ".join(f"{dimension_symbol(k)} = {_plain(v)}" for k, v in point.params.items())
    return f"trial {point.number}: {label.name} {value}{label.unit and ' ' + label.unit}; {params}"


def _plain(value: ParamValue) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _without(record: SearchPoints) -> str:
    if not record.n_without_value:
        return ""
    if record.n_without_value == 1:
        return "One trial without a value is not shown."
    return f"{record.n_without_value} trials without a value are not shown."
