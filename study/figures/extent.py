"""From where to where the axes of a panel run: the same in both renderers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

from study.figures.chart import Axis, Chart, Panel

AxisName: TypeAlias = Literal["x", "y"]
Extent: TypeAlias = tuple[float, float]

_MARGIN = 0.05
"""Share of the data's span that is left free at either end."""

_LIST_MARGIN = 0.5
"""Rows of a list lie at whole numbers, and each has as much room as the others."""


def extents(chart: Chart) -> tuple[tuple[tuple[Extent, Extent], ...], ...]:
    """Give the ends of the horizontal and the vertical axis of every panel, row by row.

    Ends are in data units and in increasing order, also where an axis runs backwards. Panels
    that share their vertical axis have the ends of all of the row.
    """
    return tuple(_of_row(row, shares_y=chart.shares_y) for row in chart.rows)


def _of_row(row: Sequence[Panel], *, shares_y: bool) -> tuple[tuple[Extent, Extent], ...]:
    heights = [extent([panel], "y") for panel in row]
    if shares_y:
        heights = [extent(row, "y")] * len(row)
    return tuple((extent([panel], "x"), y) for panel, y in zip(row, heights, strict=True))


def extent(panels: Sequence[Panel], name: AxisName) -> Extent:
    """Give the ends of one axis: its limits, or those of all that is drawn, with a margin.

    Args:
        panels: Panels with the same kind of axis, at least one.
        name: Which axis.
    """
    axis: Axis = getattr(panels[0], name)
    if axis.limits is not None:
        return axis.limits
    found = [value for panel in panels for value in _values(panel, name)]
    shown = [value for value in found if math.isfinite(value) and not (axis.is_log and value <= 0)]
    if not shown:
        return (1.0, 10.0) if axis.is_log else (0.0, 1.0)
    if axis.is_log:
        low, high = _widened(math.log10(min(shown)), math.log10(max(shown)))
        return 10**low, 10**high
    if axis.ticks and axis.is_reversed:
        return min(shown) - _LIST_MARGIN, max(shown) + _LIST_MARGIN
    low, high = min(shown), max(shown)
    if axis.is_integer and low == high:
        return low - _LIST_MARGIN, high + _LIST_MARGIN
    return _widened(low, high)


def _widened(low: float, high: float) -> Extent:
    margin = (high - low) * _MARGIN or abs(high) * _MARGIN or _LIST_MARGIN
    return low - margin, high + margin


def _values(panel: Panel, name: AxisName) -> Iterator[float]:
    yield from (place for place, _ in getattr(panel, name).ticks)
    for series in panel.series:
        yield from getattr(series, name)
        if series.spread == name:
            yield from (*series.low, *series.high)
    for level in panel.levels:
        if level.axis == name:
            ends = (level.low, level.value, level.high)
            yield from (value for value in ends if value is not None)
    for text in panel.texts:
        place = getattr(text, name)
        if place is not None:
            yield place
