"""The files of a study's report: figures, their numbers, a summary and one HTML page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

from study.figures import ReportSource
from study.records.frames import to_csv
from study.records.trial_table import TrialTable
from study.report.markdown import Summary, report_markdown, summarize, to_markdown
from study.report.page import render_page
from study.report.panel import (
    MissingPanel,
    RenderedFigure,
    ReportPanel,
    file_stem,
    render_panel,
)
from study.report.panels import build_panels
from study.report.tables import Table, failures_table
from study.results.export import to_parquet, with_study
from study.storage.atomic_write import write_atomic

PageFormat: TypeAlias = Literal["html", "md"]
"""Formats of a report."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFiles:
    """The files and parts of a report.

    Attributes:
        html: The self-contained page.
        page: The report in the requested format: the same, or its Markdown.
        summary: The written summary as Markdown.
        written: The summary as a record.
        environment: Versions, hardware and commit, as JSON.
        figures: Arm to its figures, each as PNG and SVG; a figure of several arms is listed
            under each.
        tables: Arm to the CSV and Parquet files of its figures and tables.
        shown: Arm to its tables of text, each with a stem for its file.
        missing: Missing parts with reasons, in sentences.
    """

    html: Path
    page: Path
    summary: Path
    written: Summary
    environment: Path
    figures: Mapping[str, tuple[Path, ...]]
    tables: Mapping[str, tuple[Path, ...]]
    shown: Mapping[str, tuple[tuple[str, Table], ...]]
    missing: tuple[str, ...]


def write_report(
    table: TrialTable,
    folder: Path,
    output: Path,
    *,
    allow_biased: bool = False,
    page_format: PageFormat = "html",
) -> ReportFiles:
    """Write the report of a study, finished or not.

    Missing parts (an unfinished search, a failed arm, no attribution maps) are named at the top
    of the page and of the summary. Files are replaced atomically.

    Args:
        table: Trials of the study.
        folder: Folder of the study, to which the trials' folders are relative.
        output: Folder to write into; created if it does not exist.
        allow_biased: Whether to show global claims even where the sampler used results.
        page_format: ``md`` writes the report as Markdown too, for a pull request.

    Raises:
        ReportError: If the output folder cannot be written to.
    """
    source = ReportSource(table=table, folder=folder, allow_biased=allow_biased)
    built = list(build_panels(source))
    panels = [panel for panel in built if isinstance(panel, ReportPanel)]
    summary = summarize(table, _missing_notes(built))
    rendered = {one.name: render_panel(one) for one in panels}
    figure_files = {name: _write_figure(name, found, output) for name, found in rendered.items()}
    row_files = {panel.name: _write_rows(panel, table, output) for panel in panels}
    shown = {panel.name: _tables_by_stem(panel) for panel in panels}
    environment = json.dumps(dict(table.environment), indent=2, sort_keys=True)
    html = write_atomic(output / "report.html", render_page(table, summary, panels, rendered))
    page = html
    if page_format == "md":
        page = write_atomic(output / "report.md", report_markdown(table, summary, panels))
    return ReportFiles(
        html=html,
        page=page,
        summary=write_atomic(output / "summary.md", to_markdown(summary)),
        written=summary,
        environment=write_atomic(output / "environment.json", environment),
        figures=_by_arm(table, panels, figure_files),
        tables=_by_arm(table, panels, row_files),
        shown=_with_failures(table, _by_arm(table, panels, shown)),
        missing=summary.missing,
    )


def _missing_notes(built: Sequence[ReportPanel | MissingPanel]) -> tuple[str, ...]:
    sentences: list[str] = []
    for one in built:
        if isinstance(one, MissingPanel):
            sentences.append(f"{one.title}: {one.reason}")
        else:
            sentences += one.notes
    return tuple(dict.fromkeys(sentences))


def _write_figure(name: str, shown: RenderedFigure | None, output: Path) -> tuple[Path, ...]:
    if shown is None:
        return ()
    return (
        write_atomic(output / f"{name}.png", shown.png),
        write_atomic(output / f"{name}.svg", shown.svg),
    )


def _write_rows(panel: ReportPanel, table: TrialTable, output: Path) -> tuple[Path, ...]:
    frame = panel.to_frame()
    if frame.empty:
        return ()
    return (
        write_atomic(output / f"{panel.name}.csv", to_csv(frame)),
        write_atomic(output / f"{panel.name}.parquet", to_parquet(with_study(frame, table))),
    )


def _tables_by_stem(panel: ReportPanel) -> tuple[tuple[str, Table], ...]:
    if len(panel.tables) == 1:
        return ((panel.name, panel.tables[0]),)
    named = {file_stem(panel.name, one.title): one for one in panel.tables}
    assert len(named) == len(panel.tables), "two tables of a panel have one title"
    return tuple(named.items())


def _with_failures(
    table: TrialTable, shown: Mapping[str, tuple[tuple[str, Table], ...]]
) -> dict[str, tuple[tuple[str, Table], ...]]:
    failures = failures_table(table)
    more = (("failed-trials", failures),) if failures.rows else ()
    return {arm: (*tables, *more) for arm, tables in shown.items()}


def _by_arm(
    table: TrialTable, panels: Sequence[ReportPanel], built: Mapping[str, tuple[_T, ...]]
) -> dict[str, tuple[_T, ...]]:
    return {
        arm.name: tuple(
            one for panel in panels if arm.name in panel.arms for one in built[panel.name]
        )
        for arm in table.arms
    }
