"""Series, levels and texts of a panel, drawn by Matplotlib."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from study.figures.chart import Level, Series, Text
from study.figures.style import MUTED

_BAND_ALPHA, _LEVEL_ALPHA = 0.2, 0.10
_RING_SIZE = 10
_MOST_CAPPED = 12
_THIN = 0.8
_THIN_MARKERS = frozenset("x+|_1234")
"""Markers of strokes alone, which are faint at the width of an outline."""


def draw_level(axes: Axes, level: Level) -> Artist:
    """Draw a line across the panel and the band of its interval; gives what a legend shows."""
    across, band = (
        (axes.axhline, axes.axhspan) if level.axis == "y" else (axes.axvline, axes.axvspan)
    )
    if level.low is not None and level.high is not None:
        band(level.low, level.high, color=level.look.color, alpha=_LEVEL_ALPHA, linewidth=0)
    return across(
        level.value,
        color=level.look.color,
        linestyle=level.look.line,
        linewidth=1.3 if level.name else 0.9,
        label=level.name or None,
    )


def draw_series(axes: Axes, series: Series) -> dict[str, Artist]:
    """Draw points with their intervals and rings; gives what a legend shows, by name."""
    if series.low:
        (_draw_bars if series.mark == "points" else _draw_band)(axes, series)
    draw = _draw_lines if any(map(math.isnan, series.y)) else _draw_points
    shown = {series.name: draw(axes, series)} if series.x else {}
    if series.ringed:
        shown[series.ring_name] = _draw_rings(axes, series)
    return shown


def write_text(axes: Axes, text: Text) -> None:
    """Write words at their place; without a horizontal one in the middle of the panel."""
    axes.text(
        0.5 if text.x is None else text.x,
        text.y,
        text.words,
        transform=axes.get_yaxis_transform() if text.x is None else axes.transData,
        ha=text.anchor,
        va="center",
        fontsize=7.5,
        color=MUTED,
    )


def _draw_points(axes: Axes, series: Series) -> Artist:
    look = series.look
    (line,) = axes.plot(
        series.x,
        series.y,
        color=look.color,
        linestyle="none" if series.mark == "points" else look.line,
        marker="" if series.mark in {"steps", "plain"} else look.marker,
        markersize=4 if series.is_hollow else 5,
        markerfacecolor="white" if series.is_hollow else look.color,
        markeredgewidth=1.6 if look.marker in _THIN_MARKERS else 1.0,
        drawstyle="steps-post" if series.mark == "steps" else "default",
        alpha=series.opacity,
        label=series.name or None,
    )
    return line


def _draw_lines(axes: Axes, series: Series) -> Artist:
    """Draw a line per piece: a single path of many thousand points is more than Agg can fill."""
    points = np.column_stack((series.x, series.y))
    gaps = np.flatnonzero(np.isnan(points[:, 1]))
    lines = LineCollection(
        [piece[~np.isnan(piece[:, 1])] for piece in np.split(points, gaps)],
        colors=series.look.color,
        linestyles=series.look.line,
        linewidths=_THIN,
        alpha=series.opacity,
        label=series.name or None,
    )
    axes.add_collection(lines)
    return lines


def _draw_band(axes: Axes, series: Series) -> None:
    along, fill = (
        (series.x, axes.fill_between) if series.spread == "y" else (series.y, axes.fill_betweenx)
    )
    fill(
        along,
        series.low,
        series.high,
        color=series.look.color,
        alpha=_BAND_ALPHA * series.opacity,
        linewidth=0,
        step="post" if series.mark == "steps" else None,
    )


def _draw_bars(axes: Axes, series: Series) -> None:
    """Draw bars from end to end: a bootstrap's interval need not hold its mean."""
    is_upright = series.spread == "y"
    along, bars, cap = (series.x, axes.vlines, "_") if is_upright else (series.y, axes.hlines, "|")
    is_capped = len(series.x) <= _MOST_CAPPED
    style: dict[str, Any] = {"color": series.look.color, "alpha": series.opacity}
    bars(along, series.low, series.high, linewidth=1.2 if is_capped else 0.7, **style)
    for ends in (series.low, series.high) if is_capped else ():
        places = (along, ends) if is_upright else (ends, along)
        axes.plot(*places, linestyle="none", marker=cap, markersize=5, **style)


def _draw_rings(axes: Axes, series: Series) -> Artist:
    (line,) = axes.plot(
        [series.x[place] for place in series.ringed],
        [series.y[place] for place in series.ringed],
        linestyle="none",
        marker="o",
        markersize=_RING_SIZE,
        markerfacecolor="none",
        markeredgecolor=series.look.color,
        label=series.ring_name,
    )
    return line
