"""One thing that a report shows, and what it could not show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from study.errors import ReportError
from study.report.csv_rows import CsvRows
from study.report.tables import Table
from study.trial_table import TrialTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What exhibits are made from.

    Attributes:
        table: Trials of the study.
        folder: Folder of the study, to which the trials' folders are relative.
    """

    table: TrialTable
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """A figure or tables, with the numbers behind them.

    Attributes:
        name: Stem of its files.
        title: Heading.
        arms: Names of the arms it is about; its files are listed under each.
        caption: What is drawn, with n and interval; empty without a figure.
        figure: What is drawn, or None.
        is_vector: Whether a page shows the figure as SVG; images of pixels are shown as PNG.
        tables: What is tabled.
        rows: The record behind both, for CSV.
        notes: What is missing in it, in sentences.
    """

    name: str
    title: str
    arms: tuple[str, ...]
    caption: str = ""
    figure: Figure | None = None
    is_vector: bool = True
    tables: tuple[Table, ...] = ()
    rows: CsvRows = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """An exhibit that could not be made, and why."""

    title: str
    reason: str


def attempt(title: str, make: Callable[[], Exhibit]) -> Exhibit | Missing:
    """Make an exhibit, or say why there is none: a report never leaves one out in silence."""
    try:
        return make()
    except ReportError as error:
        return Missing(title=title, reason=str(error))
