"""How a metric goes with each dimension on average over the others: a panel per dimension."""

from __future__ import annotations

from search_spaces import CategoricalDimension, IntDimension
from study.figures.chart import Axis, Chart, Panel, Series, in_rows
from study.figures.importance import stands_on
from study.figures.style import look
from study.records.labels import arm_label, dimension_axis, dimension_symbol, metric_label
from study.sensitivity.importance import PartialCurve, PartialDependence
from study.sensitivity.intervals import CONFIDENCE

_COLUMNS, _HEIGHT_INCHES = 2, 2.3


def chart(record: PartialDependence) -> Chart:
    """Draw a curve with its band per dimension, all on the same vertical scale."""
    rows = in_rows([_panel(record, curve) for curve in record.curves], _COLUMNS)
    return Chart(
        rows=rows, caption=caption(record), heights=(_HEIGHT_INCHES,) * len(rows), shares_y=True
    )


def caption(record: PartialDependence) -> str:
    """Say what is drawn: trials, replicas, metric, design, forest and band."""
    return " ".join(
        (
            f"Partial dependence of {stands_on(record.data)}",
            "Line: what a random forest predicts along a dimension, on average over the others; "
            f"band or bar: {CONFIDENCE:.0%} interval at each value ({record.interval}).",
            *record.notes,
        )
    )


def _panel(record: PartialDependence, curve: PartialCurve) -> Panel:
    return Panel(
        title=dimension_symbol(curve.dimension),
        x=_axis(curve),
        y=Axis(title=metric_label(record.data.metric).axis, limits=_limits(record)),
        series=(_line(record, curve),),
    )


def _limits(record: PartialDependence) -> tuple[float, float]:
    """Give one scale to all panels, so that a flat curve looks flat."""
    factor = metric_label(record.data.metric).factor
    low = min(value for curve in record.curves for value in curve.lows)
    high = max(value for curve in record.curves for value in curve.highs)
    margin = 0.05 * (high - low)
    return (low - margin) * factor, (high + margin) * factor


def _axis(curve: PartialCurve) -> Axis:
    title = dimension_axis(curve.dimension)
    if isinstance(curve.axis, CategoricalDimension):
        names = (str(value).replace("_", " ") for value in curve.values)
        return Axis(title=title, ticks=tuple(zip(_places(curve), names, strict=True)))
    is_integer = isinstance(curve.axis, IntDimension)
    return Axis(title=title, is_integer=is_integer, is_log=curve.axis.log)


def _line(record: PartialDependence, curve: PartialCurve) -> Series:
    label, data = metric_label(record.data.metric), record.data
    means, lows, highs = (
        tuple(value * label.factor for value in values)
        for values in (curve.means, curve.lows, curve.highs)
    )
    is_choice = isinstance(curve.axis, CategoricalDimension)
    is_integer = isinstance(curve.axis, IntDimension)
    return Series(
        name=arm_label(data.arm, data.method),
        look=look(data.method),
        x=_places(curve),
        y=means,
        low=lows,
        high=highs,
        mark="points" if is_choice else "line" if is_integer else "plain",
    )


def _places(curve: PartialCurve) -> tuple[float, ...]:
    if isinstance(curve.axis, CategoricalDimension):
        return tuple(float(place) for place in range(len(curve.values)))
    return tuple(float(place) for place in curve.values)
