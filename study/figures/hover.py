"""What a pointer is told at a point: its value with interval and n."""

from __future__ import annotations

from study.figures.chart import Axis, Level, Panel, Series
from study.sensitivity import Interval, metric_label


def measured(interval: Interval, metric: str) -> str:
    """Write a mean in its shown unit with its interval and n: ``71.1% [68.0, 74.2], n = 5``."""
    label = metric_label(metric)
    mean, low, high = (
        f"{value * label.factor:.{label.digits}f}".replace("-", "−")
        for value in (interval.mean, interval.low, interval.high)
    )
    unit = label.unit if label.unit == "%" else f" {label.unit}".rstrip()
    return f"{mean}{unit} [{low}, {high}], n = {interval.n}"


def told_at(series: Series, panel: Panel, place: int) -> str:
    """Give the words of one point, or its coordinates, with its interval unless they have one."""
    words = series.hover[place] if series.hover else _coordinates(series, panel, place)
    if series.low and "[" not in words:
        words += _range(series.low[place], series.high[place])
    return words


def told_along(level: Level, panel: Panel) -> str:
    """Give the words of a level, or its value with its interval."""
    if level.hover:
        return level.hover
    words = _value(panel.y if level.axis == "y" else panel.x, level.value)
    if level.low is None or level.high is None:
        return words
    return words + _range(level.low, level.high)


def _coordinates(series: Series, panel: Panel, place: int) -> str:
    return "\n".join(
        f"{axis.title}: {_value(axis, value)}".removeprefix(": ")
        for axis, value in ((panel.x, series.x[place]), (panel.y, series.y[place]))
    )


def _value(axis: Axis, value: float) -> str:
    name = dict(axis.ticks).get(value)
    return f"{value:.4g}".replace("-", "−") if name is None else name.replace("\n", " ")


def _range(low: float, high: float) -> str:
    return f" [{low:.4g}, {high:.4g}]".replace("-", "−")
