"""One panel of a report: a figure or tables with the numbers behind them, and its rendering."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from matplotlib.figure import Figure

from study import figures
from study.figures import static
from study.figures.chart import Chart
from study.records.errors import ReportError
from study.records.trial_table import TrialTable
from study.report.csv_rows import CsvRows
from study.report.tables import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSource:
    """What exhibits are made from.

    Attributes:
        table: Trials of the study.
        folder: Folder of the study, to which the trials' folders are relative.
        insist: Whether global claims are shown even where the sampler looked at results.
    """

    table: TrialTable
    folder: Path
    allow_biased: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPanel:
    """A figure or tables, with the numbers behind them.

    Attributes:
        name: Stem of its files.
        title: Heading.
        arms: Names of the arms it is about; its files are listed under each.
        chart: What is drawn, or None.
        image: A drawing of pixels that is no chart, or None.
        caption: What the image shows, with n; a chart has its own.
        tables: What is tabled.
        rows: The record behind both, for CSV.
        notes: What is missing in it, in sentences.
    """

    name: str
    title: str
    arms: tuple[str, ...]
    chart: Chart | None = None
    image: Figure | None = None
    caption: str = ""
    tables: tuple[Table, ...] = ()
    rows: CsvRows = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that there is one figure at most, and words to it."""
        assert self.chart is None or self.image is None
        assert self.image is None or self.caption

    @property
    def caption_text(self) -> str:
        """What stands below its figure; empty without one."""
        return self.caption if self.chart is None else self.chart.caption

    def draw(self) -> Figure | None:
        """Draw its figure with Matplotlib, if it has one."""
        return self.image if self.chart is None else static.draw(self.chart)


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPanel:
    """An exhibit that could not be made, and why."""

    title: str
    reason: str


PanelIterator: TypeAlias = Iterator[ReportPanel | MissingPanel]


def file_stem(*parts: str) -> str:
    """Make the stem of an exhibit's files of what it is about.

    Example:
        >>> stem("filter cosine", "digits (3 per class)")
        'filter-cosine-digits-3-per-class'
    """
    return re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")


def try_panel(title: str, make: Callable[[], ReportPanel]) -> ReportPanel | MissingPanel:
    """Make an exhibit, or say why there is none: a report never leaves one out in silence."""
    try:
        return make()
    except ReportError as error:
        return MissingPanel(title=title, reason=str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedFigure:
    """A figure, rendered.

    Attributes:
        png: With its caption.
        svg: With its caption.
        address: A ``data:`` address that holds it without its caption: as SVG, or as PNG where
            it is made of pixels.
    """

    png: bytes
    svg: bytes
    data_uri: str


def render_panel(panel: ReportPanel) -> RenderedFigure | None:
    """Draw and render an exhibit's figure, if it has one."""
    figure = panel.draw()
    if figure is None:
        return None
    svg = figures.render(figure, "svg")
    if panel.image is None:
        data_uri = _data_uri("image/svg+xml", figures.cut_caption(figure, svg))
    else:
        data_uri = _data_uri("image/png", figures.render_without_caption(figure, "png"))
    return RenderedFigure(png=figures.render(figure, "png"), svg=svg, data_uri=data_uri)


def _data_uri(mime: str, content: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"
