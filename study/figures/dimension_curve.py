"""A metric over the values of one dimension, with its controls: the paper's figure 4."""

from __future__ import annotations

from collections.abc import Sequence

from study.figures.chart import Axis, Chart, Level, Panel, Series
from study.figures.hover import measured
from study.figures.style import look
from study.records.trial_table import ParamValue
from study.sensitivity import (
    CONFIDENCE,
    ControlResult,
    DimensionCurve,
    arm_label,
    dimension_axis,
    dimension_symbol,
    metric_label,
)


def chart(curves: Sequence[DimensionCurve]) -> Chart:
    """Draw one panel per metric: line and band of the arm, levels and bands of its controls.

    Args:
        curves: Curves of one arm over one dimension, at least one; usually accuracy and AUC.
    """
    panels = tuple(
        Panel(
            title=metric_label(curve.metric).title,
            x=dimension(curve, dimension_axis(curve.dimension)),
            y=Axis(title=metric_label(curve.metric).axis),
            series=(line(curve),),
            levels=tuple(level(control, curve.metric) for control in curve.controls),
        )
        for curve in curves
    )
    return Chart(rows=(panels,), caption=caption(curves[0]))


def caption(curve: DimensionCurve) -> str:
    """Say what is drawn: n, interval, where the other params stand, and what is missing."""
    fixed = ", ".join(
        f"{dimension_symbol(name)}\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{_number(value)}"
        for name, value in curve.fixed.items()
    )
    mark = "bar" if _is_categorical(curve) else "band"
    controls = " and ".join(arm_label(c.arm, c.method) for c in curve.controls)
    sentences = [
        f"{arm_label(curve.arm, curve.method)} over {dimension_symbol(curve.dimension)}: mean of "
        f"n = {curve.n} replicas on fresh seeds, {mark}: {CONFIDENCE:.0%} Student's t interval "
        f"of the mean.",
        f"Horizontal lines: {controls}, same seeds, same interval." if controls else "",
        f"Ring: the value that the search chose ({_number(curve.chosen)}).",
        f"All else fixed at {fixed}." if fixed else "",
        *curve.notes,
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def line(curve: DimensionCurve) -> Series:
    """Give the arm's means with their intervals, and a ring around the chosen value."""
    factor = metric_label(curve.metric).factor
    intervals = [point.interval for point in curve.points]
    symbol = dimension_symbol(curve.dimension)
    return Series(
        name=arm_label(curve.arm, curve.method),
        look=look(curve.method),
        x=_places(curve),
        y=tuple(interval.mean * factor for interval in intervals),
        low=tuple(interval.low * factor for interval in intervals),
        high=tuple(interval.high * factor for interval in intervals),
        # Choices have no order, so that a line from one to the next would say nothing.
        mark="points" if _is_categorical(curve) else "line",
        hover=tuple(
            f"{symbol} = {_number(point.value)}\n{measured(point.interval, curve.metric)}"
            for point in curve.points
        ),
        ringed=tuple(i for i, p in enumerate(curve.points) if p.value == curve.chosen),
    )


def level(control: ControlResult, metric: str) -> Level:
    """Give a control's mean with its interval."""
    factor, interval = metric_label(metric).factor, control.interval
    return Level(
        name=arm_label(control.arm, control.method),
        look=look(control.method),
        value=interval.mean * factor,
        low=interval.low * factor,
        high=interval.high * factor,
        hover=measured(interval, metric),
    )


def dimension(curve: DimensionCurve, title: str) -> Axis:
    """Give the axis of the dimension: whole numbers, numbers, or the names of choices."""
    if _is_categorical(curve):
        names = (str(point.value).replace("_", " ") for point in curve.points)
        return Axis(title=title, ticks=tuple(zip(_places(curve), names, strict=True)))
    return Axis(title=title, is_integer=all(isinstance(p.value, int) for p in curve.points))


def _is_categorical(curve: DimensionCurve) -> bool:
    return any(isinstance(point.value, str | bool) for point in curve.points)


def _places(curve: DimensionCurve) -> tuple[float, ...]:
    if _is_categorical(curve):
        return tuple(float(index) for index in range(len(curve.points)))
    return tuple(float(point.value) for point in curve.points)


def _number(value: ParamValue) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
