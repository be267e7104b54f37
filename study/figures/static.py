"""A chart as Matplotlib's figure, for PNG and SVG."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from study.figures.chart import Axis, Chart, Panel
from study.figures.extent import Extent, extents
from study.figures.room import Room
from study.figures.sheet import finish, new_figure
from study.figures.static_marks import draw_level, draw_series, write_text
from study.figures.style import styled

ROW_INCHES = 2.7
"""Height of a row of panels that says nothing of its height."""

_SLANT_DEGREES = 35
_MOST_TICKS, _TICK_INCHES = 9, 0.36
"""How many numbers an axis has, and how far apart they are at least."""

_FRAME_INCHES = 0.7
"""What title and horizontal axis take of a row's height."""


def draw(chart: Chart) -> Figure:
    """Draw a chart: panels in rows, one legend above them, the caption below.

    The figure is laid out for good (``sheet.finish``), so that rendering it is cheap.
    """
    with styled():
        heights = _heights(chart)
        figure = new_figure(sum(heights))
        handles: dict[str, Artist] = {}
        for axes, panel, ends in _panels(figure, chart, heights):
            for name, handle in _draw_panel(axes, panel, ends):
                handles.setdefault(name, handle)
        finish(figure, chart.caption, {name: one for name, one in handles.items() if name})
    return figure


def _room(chart: Chart) -> Room:
    return Room(columns=max(map(len, chart.rows)))


def _heights(chart: Chart) -> list[float]:
    """Give the rows' heights, with room for names of several lines or aslant."""
    room = _room(chart)
    given = chart.heights or (ROW_INCHES,) * len(chart.rows)
    return [
        height + max(room.extra_inches(p.x, e[0]) for p, e in zip(row, ends, strict=True))
        for height, row, ends in zip(given, chart.rows, extents(chart), strict=True)
    ]


def _panels(
    figure: Figure, chart: Chart, heights: list[float]
) -> Iterator[tuple[Axes, Panel, tuple[Extent, Extent]]]:
    """Add the axes of every panel, named and scaled."""
    room = _room(chart)
    grid = figure.add_gridspec(len(chart.rows), room.columns, height_ratios=heights)
    for number, (row, ends) in enumerate(zip(chart.rows, extents(chart), strict=True)):
        first: Axes | None = None
        for column, (panel, own) in enumerate(zip(row, ends, strict=True)):
            axes = figure.add_subplot(grid[number, column], sharey=first)
            first = axes if chart.shares_y and first is None else first
            _scale(axes, panel)
            _name_across(axes, panel.x, own[0], room)
            _name_up(
                axes,
                panel.y,
                heights[number] - _FRAME_INCHES,
                is_inner=chart.shares_y and column > 0,
            )
            axes.set_title(room.fit(panel.title))
            yield axes, panel, own


def _draw_panel(
    axes: Axes, panel: Panel, ends: tuple[Extent, Extent]
) -> Iterator[tuple[str, Artist]]:
    for level in panel.levels:
        yield level.name, draw_level(axes, level)
    for series in panel.series:
        yield from draw_series(axes, series).items()
    for text in panel.texts:
        write_text(axes, text)
    # Last, since drawing moves the ends.
    axes.set_xlim(_directed(panel.x, ends[0]))
    axes.set_ylim(_directed(panel.y, ends[1]))


def _directed(axis: Axis, ends: Extent) -> Extent:
    low, high = ends
    return (high, low) if axis.is_reversed else (low, high)


def _scale(axes: Axes, panel: Panel) -> None:
    axes.set_xscale("log" if panel.x.is_log else "linear")
    axes.set_yscale("log" if panel.y.is_log else "linear")
    # Lines guide the eye from a place to its name: along the rows of a list, else across.
    axes.grid(visible=bool(panel.y.ticks), axis="x")
    axes.grid(visible=not panel.y.ticks, axis="y")


def _name_across(axes: Axes, axis: Axis, ends: Extent, room: Room) -> None:
    """Write title and ticks of the horizontal axis."""
    axes.set_xlabel(room.fit(axis.title))
    if axis.ticks:
        axes.set_xticks([place for place, _ in axis.ticks], room.names(axis, ends))
    elif not axis.is_log:
        axes.xaxis.set_major_locator(_numbers(axis, room.most_ticks(axis, ends)))
    if axis.ticks and room.is_slanted(axis, ends):
        for label in axes.get_xticklabels():
            label.set(rotation=_SLANT_DEGREES, ha="right", rotation_mode="anchor")


def _name_up(axes: Axes, axis: Axis, inches: float, *, is_inner: bool) -> None:
    """Write title and ticks of the vertical axis; an inner panel has those of the first."""
    axes.set_ylabel("" if is_inner else axis.title)
    if axis.ticks:
        axes.set_yticks([place for place, _ in axis.ticks], [name for _, name in axis.ticks])
    elif not axis.is_log:
        most = max(2, min(_MOST_TICKS, int(inches / _TICK_INCHES)))
        axes.yaxis.set_major_locator(_numbers(axis, most))
    axes.tick_params(labelleft=not is_inner)


def _numbers(axis: Axis, most: int) -> MaxNLocator:
    """Tick so many numbers at most; Matplotlib's own choice would change with the layout."""
    if axis.is_integer:
        return MaxNLocator(nbins=most, integer=True, min_n_ticks=1)
    return MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10])
