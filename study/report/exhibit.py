"""One thing that a report shows, and what it could not show."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from matplotlib.figure import Figure

from study.errors import ReportError
from study.figures import static
from study.figures.chart import Chart
from study.report.csv_rows import CsvRows
from study.report.tables import Table
from study.trial_table import TrialTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What exhibits are made from.

    Attributes:
        table: Trials of the study.
        folder: Folder of the study, to which the trials' folders are relative.
        insist: Whether global claims are shown even where the sampler looked at results.
    """

    table: TrialTable
    folder: Path
    insist: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
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
    def words(self) -> str:
        """What stands below its figure; empty without one."""
        return self.caption if self.chart is None else self.chart.caption

    def draw(self) -> Figure | None:
        """Draw its figure with Matplotlib, if it has one."""
        return self.image if self.chart is None else static.draw(self.chart)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """An exhibit that could not be made, and why."""

    title: str
    reason: str


Made: TypeAlias = Iterator[Exhibit | Missing]


def stem(*parts: str) -> str:
    """Make the stem of an exhibit's files of what it is about.

    Example:
        >>> stem("filter cosine", "digits (3 per class)")
        'filter-cosine-digits-3-per-class'
    """
    return re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")


def attempt(title: str, make: Callable[[], Exhibit]) -> Exhibit | Missing:
    """Make an exhibit, or say why there is none: a report never leaves one out in silence."""
    try:
        return make()
    except ReportError as error:
        return Missing(title=title, reason=str(error))
