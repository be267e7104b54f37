"""One panel of a report: a figure or tables with the numbers behind them, and its rendering."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from study.figures import ReportSource
from study.figures.rendering import Specification, to_png, to_svg, with_words
from study.records.errors import ReportError
from study.report.csv_rows import CsvRows
from study.report.tables import Table

__all__ = [
    "MissingPanel",
    "PanelIterator",
    "ReportPanel",
    "ReportSource",
    "file_stem",
    "try_panel",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPanel:
    """A figure or tables, with the numbers behind them.

    Attributes:
        name: Stem of its files.
        title: Heading.
        arms: Names of the arms it is about; its files are listed under each.
        spec: Its chart as Vega-Lite, or None.
        caption: What the chart shows, with n; empty without one.
        tables: What is tabled.
        rows: The record behind both, for CSV.
        notes: What is missing in it, in sentences.
    """

    name: str
    title: str
    arms: tuple[str, ...]
    spec: Specification | None = None
    caption: str = ""
    tables: tuple[Table, ...] = ()
    rows: CsvRows = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that a chart has words, and that there are none without it."""
        assert (self.spec is None) == (not self.caption)


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPanel:
    """An exhibit that could not be made, and why."""

    title: str
    reason: str


PanelIterator: TypeAlias = Iterator[ReportPanel | MissingPanel]


def file_stem(*parts: str) -> str:
    """Return the stem of an exhibit's files from what it is about.

    Example:
        >>> stem("filter cosine", "digits (3 per class)")
        'filter-cosine-digits-3-per-class'
    """
    return re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")


def try_panel(title: str, make: Callable[[], ReportPanel]) -> ReportPanel | MissingPanel:
    """Return an exhibit, or why there is none: a report never leaves one out in silence."""
    try:
        return make()
    except ReportError as error:
        return MissingPanel(title=title, reason=str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedFigure:
    """A chart, rendered.

    Attributes:
        png: With its title and caption.
        svg: With its title and caption.
        address: A ``data:`` address that holds the chart alone as SVG.
    """

    png: bytes
    svg: bytes
    data_uri: str


def render_panel(panel: ReportPanel) -> RenderedFigure | None:
    """Return an exhibit's chart rendered, if it has one."""
    if panel.spec is None:
        return None
    still = to_svg(panel.spec)
    whole = with_words(still, panel.title, panel.caption)
    content = base64.b64encode(still.encode("utf-8")).decode("ascii")
    return RenderedFigure(
        png=to_png(whole),
        svg=whole.encode("utf-8"),
        data_uri=f"data:image/svg+xml;base64,{content}",
    )
