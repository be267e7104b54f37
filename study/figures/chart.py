"""What a figure shows, in words that both renderers understand: panels of curves and levels.

Each figure of a report is a pure function from a record to a ``Chart``. ``static.draw`` makes
Matplotlib's figure of it (PNG, SVG), ``interactive.draw`` Plotly's; neither knows the records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from study.figures.style import Look

Mark: TypeAlias = Literal["line", "points", "steps", "plain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis of a panel.

    Attributes:
        title: What it shows, with its unit; empty for none.
        ticks: Places and their names, where the values are not numbers; in order.
        is_integer: Whether only whole numbers are ticked.
        is_log: Whether the scale is logarithmic.
        is_reversed: Whether it runs backwards: rows of a list from top to bottom.
        limits: Its ends, or None for those of the data.
    """

    title: str = ""
    ticks: tuple[tuple[float, str], ...] = ()
    is_integer: bool = False
    is_log: bool = False
    is_reversed: bool = False
    limits: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points that belong together, in the units that are shown.

    Attributes:
        name: What the legend calls it; one entry per name; empty for none.
        look: Color, marker and line.
        x: Places along the horizontal axis.
        y: Places along the vertical axis; a line is broken where it is nan.
        low: Lower ends of the intervals, or empty without intervals.
        high: Upper ends.
        spread: The axis along which the intervals lie.
        mark: ``line``: markers joined, interval as a band; ``points``: markers alone, interval
            as bars; ``steps``: stairs without markers; ``plain``: a line without markers, its
            interval as a band.
        is_hollow: Whether markers are outlines.
        opacity: From 0 to 1.
        hover: What a pointer is told at each point, or empty for its coordinates; the interval
            is added to words without one in brackets.
        ringed: Positions of the points that are marked out.
        ring_name: What the legend calls the rings.
    """

    name: str
    look: Look
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    spread: Literal["x", "y"] = "y"
    mark: Mark = "line"
    is_hollow: bool = False
    opacity: float = 1.0
    hover: tuple[str, ...] = ()
    ringed: tuple[int, ...] = ()
    ring_name: str = "chosen by the search"

    def __post_init__(self) -> None:
        """Check that there is one of everything per point, and a point for every ring."""
        lengths = {len(self.x), len(self.y)}
        lengths |= {len(each) for each in (self.low, self.high, self.hover) if each}
        if len(lengths) != 1 or bool(self.low) != bool(self.high):
            raise ValueError(f"Series {self.name!r}: one of everything per point, got {lengths}")
        if any(not 0 <= place < len(self.x) for place in self.ringed):
            raise ValueError(f"Series {self.name!r}: no point to ring among {self.ringed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A line across a panel, with the interval of what it stands for.

    Attributes:
        name: What the legend calls it; empty for none.
        look: Color and line.
        value: Where it lies.
        low: Lower end of its interval, or None without one.
        high: Upper end.
        axis: The axis on which the value lies: ``y`` is a horizontal line.
        hover: What a pointer is told along it, or empty for its value and interval.
    """

    name: str
    look: Look
    value: float
    low: float | None = None
    high: float | None = None
    axis: Literal["x", "y"] = "y"
    hover: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Words inside a panel, at a place in data coordinates; without an ``x`` in its middle."""

    x: float | None
    y: float
    words: str
    anchor: Literal["left", "center", "right"] = "center"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One pair of axes and what is drawn between them."""

    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...] = ()
    levels: tuple[Level, ...] = ()
    texts: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A figure: rows of panels, one legend, one caption.

    Attributes:
        rows: Panels by row; rows may differ in length.
        caption: What is drawn, with n, unit and interval.
        heights: Height of each row in inches, its axes' names included; the default if empty.
        shares_y: Whether the panels of a row share their vertical axis.
    """

    rows: tuple[tuple[Panel, ...], ...]
    caption: str
    heights: tuple[float, ...] = ()
    shares_y: bool = False

    def __post_init__(self) -> None:
        """Check that there is something to draw."""
        if not self.rows or not all(self.rows):
            raise ValueError("Chart: every row needs a panel")
        if self.heights and len(self.heights) != len(self.rows):
            raise ValueError("Chart: one height per row")

    def panels(self) -> Iterator[Panel]:
        """Give all panels, row by row."""
        for row in self.rows:
            yield from row


def in_rows(panels: Sequence[Panel], columns: int) -> tuple[tuple[Panel, ...], ...]:
    """Set panels out in rows of so many; the last may be shorter."""
    return tuple(tuple(panels[i : i + columns]) for i in range(0, len(panels), columns))
