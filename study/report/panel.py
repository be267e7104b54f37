"""One panel of a report: a figure or tables with the numbers behind them, and its rendering."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from study.figures.figure import Place
from study.figures.rendering import Specification, to_png, to_svg, with_words
from study.records.errors import ReportError
from study.records.frames import Tabular, make_frame
from study.report.tables import Table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPanel:
    """A figure or tables, with the numbers behind them.

    Attributes:
        name: Stem of its files.
        figure: Its name in FIGURES; empty for tables without a figure.
        title: Heading.
        arms: Names of its arms; its files are listed under each.
        place: Section of the page that shows it.
        is_folded: Whether the page shows it on demand only.
        spec: Its chart as Vega-Lite, or None.
        caption: Caption of the chart, with n; empty without one.
        records: The analyses behind figure and tables.
        notes: Missing parts, in sentences.
    """

    name: str
    title: str
    arms: tuple[str, ...]
    place: Place
    figure: str = ""
    is_folded: bool = False
    spec: Specification | None = None
    caption: str = ""
    tables: tuple[Table, ...] = ()
    records: tuple[Tabular, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that there is a caption if and only if there is a chart."""
        assert (self.spec is None) == (not self.caption)

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind it as a data frame."""
        return make_frame(row for record in self.records for row in record.frame_rows())


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPanel:
    """A panel that could not be made, with the reason."""

    title: str
    reason: str


_LONGEST_STEM = 140
"""A file's name has at most 255 bytes, with its suffix and what a temporary file adds."""

PanelIterator: TypeAlias = Iterator[ReportPanel | MissingPanel]


def file_stem(*parts: str) -> str:
    """Return the stem of a panel's files; the end of a long one is a digest.

    Example:
        >>> file_stem("filter cosine", "digits (3 per class)")
        'filter-cosine-digits-3-per-class'
    """
    stem = re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")
    if len(stem) <= _LONGEST_STEM:
        return stem
    return f"{stem[:_LONGEST_STEM]}-{hashlib.sha256(stem.encode()).hexdigest()[:8]}"


def try_panel(title: str, make: Callable[[], ReportPanel]) -> ReportPanel | MissingPanel:
    """Return a panel, or the reason why it is missing, which the report states."""
    try:
        return make()
    except ReportError as error:
        return MissingPanel(title=title, reason=str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedFigure:
    """A rendered figure, with its title and caption in ``png`` and ``svg``.

    Attributes:
        data_uri: The chart alone as SVG, as a ``data:`` URI.
    """

    png: bytes
    svg: bytes
    data_uri: str


def render_panel(panel: ReportPanel) -> RenderedFigure | None:
    """Render a panel's chart."""
    if panel.spec is None:
        return None
    chart = to_svg(panel.spec)
    svg = with_words(chart, panel.title, panel.caption)
    content = base64.b64encode(chart.encode("utf-8")).decode("ascii")
    return RenderedFigure(
        png=to_png(svg),
        svg=svg.encode("utf-8"),
        data_uri=f"data:image/svg+xml;base64,{content}",
    )
