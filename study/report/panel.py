"""One panel of a report: a figure or tables with the numbers behind them, and its rendering."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from matplotlib.figure import Figure

from study import figures
from study.figures import static
from study.figures.chart import Chart
from study.records.errors import ReportError
from study.records.frames import Tabular, make_frame
from study.records.trial_table import TrialTable
from study.report.tables import Table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSource:
    """The study that panels are made of.

    Attributes:
        folder: Folder of the study, to which the trials' folders are relative.
        allow_biased: Whether global claims are shown even where the sampler used results.
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
        arms: Names of its arms; its files are listed under each.
        image: A drawing of pixels that is no chart, or None.
        caption: Caption of the image, with n; a chart has its own.
        records: The analyses behind figure and tables.
        notes: Missing parts, in sentences.
    """

    name: str
    title: str
    arms: tuple[str, ...]
    chart: Chart | None = None
    image: Figure | None = None
    caption: str = ""
    tables: tuple[Table, ...] = ()
    records: tuple[Tabular, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that there is one figure at most, and a caption."""
        assert self.chart is None or self.image is None
        assert self.image is None or self.caption

    @property
    def caption_text(self) -> str:
        """Caption of its figure; empty without one."""
        return self.caption if self.chart is None else self.chart.caption

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind it as a data frame."""
        return make_frame(row for record in self.records for row in record.frame_rows())

    def draw(self) -> Figure | None:
        """Draw its figure with Matplotlib."""
        return self.image if self.chart is None else static.draw(self.chart)


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPanel:
    """A panel that could not be made, with the reason."""

    title: str
    reason: str


PanelIterator: TypeAlias = Iterator[ReportPanel | MissingPanel]


def file_stem(*parts: str) -> str:
    """Return the stem of a panel's files.

    Example:
        >>> file_stem("filter cosine", "digits (3 per class)")
        'filter-cosine-digits-3-per-class'
    """
    return re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")


def try_panel(title: str, make: Callable[[], ReportPanel]) -> ReportPanel | MissingPanel:
    """Return a panel, or the reason why it is missing, which the report states."""
    try:
        return make()
    except ReportError as error:
        return MissingPanel(title=title, reason=str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedFigure:
    """A rendered figure, with its caption in ``png`` and ``svg``.

    Attributes:
        data_uri: The figure without its caption as a ``data:`` URI: SVG, or PNG of pixels.
    """

    png: bytes
    svg: bytes
    data_uri: str


def render_panel(panel: ReportPanel) -> RenderedFigure | None:
    """Render a panel's figure."""
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
