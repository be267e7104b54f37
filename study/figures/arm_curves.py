"""Several arms over one dimension, and each arm's difference to its Base."""

from __future__ import annotations

from study.figures.chart import Axis, Chart, Level, Panel, Series
from study.figures.style import ZERO_LOOK, Look, looks_by_arm
from study.sensitivity import (
    CONFIDENCE,
    ArmCurves,
    DimensionCurve,
    Interval,
    arm_label,
    dimension_axis,
    dimension_symbol,
    metric_label,
)


def chart(record: ArmCurves) -> Chart:
    """Draw a column per metric: the arms with Base dashed, below it the differences to Base."""
    styles = looks_by_arm((c.arm, c.method) for group in record.curves for c in group)
    places = _places(record)
    upper = tuple(
        _panel(record, metric, group, styles, places)
        for metric, group in zip(record.metrics, record.curves, strict=True)
    )
    lower = tuple(
        _difference_panel(record, metric, group, styles, places)
        for metric, group in zip(record.metrics, record.curves, strict=True)
        if any(point.to_base for curve in group for point in curve.points)
    )
    return Chart(rows=(upper, lower) if lower else (upper,), caption=caption(record))


def caption(record: ArmCurves) -> str:
    """Say what is drawn: n, interval, Base, and the correction of the differences."""
    counts = sorted({curve.n for group in record.curves for curve in group})
    symbol = dimension_symbol(record.dimension)
    text = (
        f"Arms over {symbol}, all else at each arm's chosen configuration: mean of "
        f"n = {' or '.join(map(str, counts))} replicas on fresh seeds, band: {CONFIDENCE:.0%} "
        f"Student's t interval of the mean. Above: dashed in an arm's color, its Base. Below: "
        f"arm minus Base over replicas with the same seed, interval not widened for the number "
        f"of values. Ring: the value that the search chose."
    )
    return " ".join((text, *record.notes))


def _panel(
    record: ArmCurves,
    metric: str,
    group: tuple[DimensionCurve, ...],
    styles: dict[str, Look],
    places: dict[object, float],
) -> Panel:
    label = metric_label(metric)
    bases = [
        Level(name="", look=_dashed(styles[curve.arm]), value=c.interval.mean * label.factor)
        for curve in group
        for c in curve.controls
        if c.method == "base"
    ]
    return Panel(
        title=label.title,
        x=_axis(record.dimension, places),
        y=Axis(title=label.axis),
        series=tuple(
            _series(
                curve,
                styles[curve.arm],
                [(places[p.value], p.interval) for p in curve.points],
                label.factor,
            )
            for curve in group
        ),
        levels=tuple(bases),
    )


def _difference_panel(
    record: ArmCurves,
    metric: str,
    group: tuple[DimensionCurve, ...],
    styles: dict[str, Look],
    places: dict[object, float],
) -> Panel:
    label = metric_label(metric)
    unit = f" [{label.difference_unit}]" if label.difference_unit else ""
    return Panel(
        title="",
        x=_axis(record.dimension, places),
        y=Axis(title=f"Minus Base{unit}"),
        series=tuple(
            _series(
                curve,
                styles[curve.arm],
                [
                    (places[p.value], p.to_base.difference.interval)
                    for p in curve.points
                    if p.to_base is not None
                ],
                label.factor,
            )
            for curve in group
            if any(p.to_base for p in curve.points)
        ),
        levels=(Level(name="", look=ZERO_LOOK, value=0.0),),
    )


def _series(
    curve: DimensionCurve, style: Look, points: list[tuple[float, Interval]], factor: float
) -> Series:
    values = [point.value for point in curve.points]
    return Series(
        name=arm_label(curve.arm, curve.method),
        look=style,
        x=tuple(place for place, _ in points),
        y=tuple(interval.mean * factor for _, interval in points),
        low=tuple(interval.low * factor for _, interval in points),
        high=tuple(interval.high * factor for _, interval in points),
        ringed=(values.index(curve.chosen),) if curve.chosen in values else (),
    )


def _places(record: ArmCurves) -> dict[object, float]:
    values = dict.fromkeys(p.value for group in record.curves for c in group for p in c.points)
    if any(isinstance(value, str | bool) for value in values):
        return {value: float(place) for place, value in enumerate(values)}
    return {value: float(value) for value in values}


def _axis(dimension: str, places: dict[object, float]) -> Axis:
    if any(isinstance(value, str | bool) for value in places):
        ticks = tuple((place, str(value)) for value, place in places.items())
        return Axis(title=dimension_axis(dimension), ticks=ticks)
    is_integer = all(isinstance(value, int) for value in places)
    return Axis(title=dimension_axis(dimension), is_integer=is_integer)


def _dashed(style: Look) -> Look:
    return Look(color=style.color, marker=style.marker, line="--")
