"""A study's report as files: figures, their numbers, a summary and one HTML page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

from study.export import to_frame, to_parquet
from study.files import write_whole
from study.report.csv_rows import to_csv
from study.report.exhibit import Exhibit, Missing, Source, stem
from study.report.exhibits import EXHIBITS
from study.report.markdown import report_markdown
from study.report.page import render_page
from study.report.picture import Picture, picture
from study.report.summary import Summary, summarise, to_markdown
from study.report.tables import Table, failures_table
from study.trial_table import TrialTable

PageFormat: TypeAlias = Literal["html", "md"]
"""What a report can be read as."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFiles:
    """What a report consists of.

    Attributes:
        html: The self-contained page.
        page: The report in the format that was asked for: the same, or its Markdown.
        summary: The written summary as Markdown.
        written: The same, not yet a text.
        environment: Versions, hardware and commit, as JSON.
        figures: Arm to its figures, each as PNG and SVG; a figure of several arms is listed
            under each.
        tables: Arm to the CSV and Parquet files behind its figures and tables.
        shown: Arm to its tables as the page shows them, each with a stem for a file of it.
        missing: What the report could not show and why, in sentences.
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
    insist: bool = False,
    page_format: PageFormat = "html",
) -> ReportFiles:
    """Write the report of a study, finished or not.

    What cannot be shown (an unfinished search, a failed arm, no attribution maps) is named at
    the top of the page and of the summary. Each file is renamed into place once it is whole;
    files of the same name are replaced.

    Args:
        table: Trials of the study.
        folder: Folder of the study, to which the trials' folders are relative.
        output: Folder to write into; made if it is not there.
        insist: Whether to show global claims even where the sampler looked at results.
        page_format: ``md`` writes the report as Markdown too, for a pull request.

    Raises:
        ReportError: If the output folder cannot be written to.
    """
    source = Source(table=table, folder=folder, insist=insist)
    made = [exhibit for make in EXHIBITS.values() for exhibit in make(source)]
    exhibits = [exhibit for exhibit in made if isinstance(exhibit, Exhibit)]
    summary = summarise(table, _missing(made))
    pictures = {one.name: picture(one) for one in exhibits}
    drawn = {name: _write_figure(name, found, output) for name, found in pictures.items()}
    tabled = {exhibit.name: _write_rows(exhibit, table, output) for exhibit in exhibits}
    shown = {exhibit.name: _named_tables(exhibit) for exhibit in exhibits}
    environment = json.dumps(dict(table.environment), indent=2, sort_keys=True)
    html = write_whole(output / "report.html", render_page(table, summary, exhibits, pictures))
    page = html
    if page_format == "md":
        page = write_whole(output / "report.md", report_markdown(table, summary, exhibits))
    return ReportFiles(
        html=html,
        page=page,
        summary=write_whole(output / "summary.md", to_markdown(summary)),
        written=summary,
        environment=write_whole(output / "environment.json", environment),
        figures=_by_arm(table, exhibits, drawn),
        tables=_by_arm(table, exhibits, tabled),
        shown=_with_failures(table, _by_arm(table, exhibits, shown)),
        missing=summary.missing,
    )


def _missing(made: Sequence[Exhibit | Missing]) -> tuple[str, ...]:
    sentences: list[str] = []
    for one in made:
        if isinstance(one, Missing):
            sentences.append(f"{one.title}: {one.reason}")
        else:
            sentences += one.notes
    return tuple(dict.fromkeys(sentences))


def _write_figure(name: str, shown: Picture | None, output: Path) -> tuple[Path, ...]:
    if shown is None:
        return ()
    return (
        write_whole(output / f"{name}.png", shown.png),
        write_whole(output / f"{name}.svg", shown.svg),
    )


def _write_rows(exhibit: Exhibit, table: TrialTable, output: Path) -> tuple[Path, ...]:
    if not exhibit.rows:
        return ()
    names = dict.fromkeys(name for row in exhibit.rows for name in row)
    frame = to_frame({name: [row.get(name) for row in exhibit.rows] for name in names}, table)
    return (
        write_whole(output / f"{exhibit.name}.csv", to_csv(exhibit.rows)),
        write_whole(output / f"{exhibit.name}.parquet", to_parquet(frame)),
    )


def _named_tables(exhibit: Exhibit) -> tuple[tuple[str, Table], ...]:
    if len(exhibit.tables) == 1:
        return ((exhibit.name, exhibit.tables[0]),)
    named = {stem(exhibit.name, one.title): one for one in exhibit.tables}
    assert len(named) == len(exhibit.tables), "two tables of an exhibit have one title"
    return tuple(named.items())


def _with_failures(
    table: TrialTable, shown: Mapping[str, tuple[tuple[str, Table], ...]]
) -> dict[str, tuple[tuple[str, Table], ...]]:
    failures = failures_table(table)
    more = (("failed-trials", failures),) if failures.rows else ()
    return {arm: (*tables, *more) for arm, tables in shown.items()}


def _by_arm(
    table: TrialTable, exhibits: Sequence[Exhibit], made: Mapping[str, tuple[_T, ...]]
) -> dict[str, tuple[_T, ...]]:
    return {
        arm.name: tuple(
            one for exhibit in exhibits if arm.name in exhibit.arms for one in made[exhibit.name]
        )
        for arm in table.arms
    }
