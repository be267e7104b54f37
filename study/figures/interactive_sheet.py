"""Where the panels of an interactive figure stand: side by side, or in one column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

from study.figures.chart import Axis, Chart, Panel
from study.figures.extent import Extent, extents
from study.figures.static import ROW_INCHES

Domain: TypeAlias = tuple[float, float]

_PIXELS_PER_INCH = 105
_AXIS_PIXELS = 72
"""What title and axis take of a row's height."""

_LEAST_PIXELS, _NARROW_PIXELS = 60, 210
_GAP_PIXELS, _BOTTOM_PIXELS = 84, 54
_TITLE_PIXELS, _LINE_PIXELS = 32, 20
_CHARACTER_PIXELS, _SAMPLE_PIXELS, _NAMES_PIXELS = 7, 50, 40
_PAGE_PIXELS, _PHONE_PIXELS = 860, 330


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one panel stands.

    Attributes:
        panel: What stands there.
        ends: From where to where its axes run.
        x: From where to where it reaches, as shares of the width.
        y: From where to where it reaches, as shares of the height, from below.
        row: Number of its row in the chart.
        has_names: Whether its vertical axis has names of its own.
    """

    panel: Panel
    ends: tuple[Extent, Extent]
    x: Domain
    y: Domain
    row: int
    has_names: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The places of all panels, and the space around them in pixels.

    Attributes:
        places: In the order of the chart.
        height: Height of the whole figure.
        top: What legend and titles take of it.
        bottom: What axes take of it.
        characters: About how many characters fit side by side in a panel.
    """

    places: tuple[Place, ...]
    height: float
    top: float
    bottom: float
    characters: int


def lay_out(chart: Chart, *, is_narrow: bool) -> Sheet:
    """Lay a chart out for a page, or in one column for a phone."""
    columns = 1 if is_narrow else max(map(len, chart.rows))
    heights = _heights(chart, is_narrow=is_narrow)
    inner = sum(heights) + _GAP_PIXELS * (len(heights) - 1)
    width = _PHONE_PIXELS if is_narrow else _PAGE_PIXELS
    top = _TITLE_PIXELS + _LINE_PIXELS * _lines(legend_names(chart), width)
    return Sheet(
        places=_places(chart, columns, [height / inner for height in heights], inner),
        height=top + inner + _BOTTOM_PIXELS,
        top=top,
        bottom=_BOTTOM_PIXELS,
        characters=int((width / columns - _NAMES_PIXELS) / _CHARACTER_PIXELS),
    )


def legend_names(chart: Chart) -> list[str]:
    """Give what the legend names, each once, in the order in which it is drawn."""
    names: dict[str, None] = {}
    for panel in chart.panels():
        names |= dict.fromkeys(level.name for level in panel.levels)
        for series in panel.series:
            names |= dict.fromkeys((series.name, *([series.ring_name] if series.ringed else ())))
    return [name for name in names if name]


def _heights(chart: Chart, *, is_narrow: bool) -> list[float]:
    """Give the height of every row of panels as they are laid out, without axes."""
    inches = chart.heights or (ROW_INCHES,) * len(chart.rows)
    wide = [max(_LEAST_PIXELS, each * _PIXELS_PER_INCH - _AXIS_PIXELS) for each in inches]
    if not is_narrow:
        return wide
    return [
        height if panel.y.ticks else _NARROW_PIXELS
        for row, height in zip(chart.rows, wide, strict=True)
        for panel in row
    ]


def _places(
    chart: Chart, columns: int, heights: Sequence[float], inner: float
) -> tuple[Place, ...]:
    """Set the panels out from left to right and from top to bottom."""
    gap = _GAP_PIXELS / inner
    tops = [1 - before for before in accumulate((h + gap for h in heights), initial=0.0)]
    places: list[Place] = []
    for number, (row, ends) in enumerate(zip(chart.rows, extents(chart), strict=True)):
        for column, (panel, own) in enumerate(zip(row, ends, strict=True)):
            track = len(places) if columns == 1 else number
            places.append(
                Place(
                    panel=panel,
                    ends=own,
                    x=_across(column, columns, _spacing(chart)),
                    y=(max(0.0, tops[track] - heights[track]), tops[track]),
                    row=number,
                    has_names=columns == 1 or column == 0 or not chart.shares_y,
                )
            )
    return tuple(places)


def _across(column: int, columns: int, spacing: float) -> Domain:
    if columns == 1:
        return 0.0, 1.0
    width = (1 - spacing * (columns - 1)) / columns
    low = column * (width + spacing)
    return low, min(1.0, low + width)


def _spacing(chart: Chart) -> float:
    """Give the share of the width between two panels: what the names of the right one take."""
    if chart.shares_y:
        return 0.03
    inner = [panel.y for row in chart.rows for panel in row[1:]]
    longest = max((_longest(axis) for axis in inner), default=0)
    title = 0.025 if any(axis.title for axis in inner) else 0.0
    return title + 0.055 + longest * _CHARACTER_PIXELS / _PAGE_PIXELS


def _longest(axis: Axis) -> int:
    return max((len(line) for _, name in axis.ticks for line in name.split("\n")), default=0)


def _lines(names: Sequence[str], width: float) -> int:
    """Give how many lines a legend takes; Plotly gives every entry the longest one's width."""
    if not names:
        return 0
    entry = max(map(len, names)) * _CHARACTER_PIXELS + _SAMPLE_PIXELS
    return -(-len(names) // max(1, int(width / entry)))
