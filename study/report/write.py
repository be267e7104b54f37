"""A study's report as files: figures, their numbers, a summary and one HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from study import figures
from study.files import write_whole
from study.report.csv_rows import to_csv
from study.report.exhibit import Exhibit, Missing, Source
from study.report.exhibits import EXHIBITS
from study.report.page import render_page
from study.report.summary import summarise, to_markdown
from study.trial_table import TrialTable


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFiles:
    """What a report consists of.

    Attributes:
        html: The self-contained page.
        summary: The written summary as Markdown.
        figures: Arm to its figures, each as PNG and SVG; a figure of several arms is listed
            under each.
        tables: Arm to the CSV files behind its figures and tables.
        missing: What the report could not show and why, in sentences.
    """

    html: Path
    summary: Path
    figures: Mapping[str, tuple[Path, ...]]
    tables: Mapping[str, tuple[Path, ...]]
    missing: tuple[str, ...]


def write_report(table: TrialTable, folder: Path, output: Path) -> ReportFiles:
    """Write the report of a study, finished or not.

    What cannot be shown (an unfinished search, a failed arm, no attribution maps) is named at
    the top of the page and of the summary. Each file is renamed into place once it is whole;
    files of the same name are replaced.

    Args:
        table: Trials of the study.
        folder: Folder of the study, to which the trials' folders are relative.
        output: Folder to write into; made if it is not there.

    Raises:
        ReportError: If the output folder cannot be written to.
    """
    source = Source(table=table, folder=folder)
    made = [exhibit for make in EXHIBITS.values() for exhibit in make(source)]
    exhibits = [exhibit for exhibit in made if isinstance(exhibit, Exhibit)]
    summary = summarise(table, _missing(made))
    drawn = {exhibit.name: _write_figure(exhibit, output) for exhibit in exhibits}
    tabled = {exhibit.name: _write_rows(exhibit, output) for exhibit in exhibits}
    return ReportFiles(
        html=write_whole(output / "report.html", render_page(table, summary, exhibits)),
        summary=write_whole(output / "summary.md", to_markdown(summary)),
        figures=_by_arm(table, exhibits, drawn),
        tables=_by_arm(table, exhibits, tabled),
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


def _write_figure(exhibit: Exhibit, output: Path) -> tuple[Path, ...]:
    if exhibit.figure is None:
        return ()
    return tuple(
        write_whole(output / f"{exhibit.name}.{kind}", figures.render(exhibit.figure, kind))
        for kind in ("png", "svg")
    )


def _write_rows(exhibit: Exhibit, output: Path) -> tuple[Path, ...]:
    if not exhibit.rows:
        return ()
    return (write_whole(output / f"{exhibit.name}.csv", to_csv(exhibit.rows)),)


def _by_arm(
    table: TrialTable, exhibits: Sequence[Exhibit], files: Mapping[str, tuple[Path, ...]]
) -> dict[str, tuple[Path, ...]]:
    return {
        arm.name: tuple(
            path
            for exhibit in exhibits
            if arm.name in exhibit.arms
            for path in files[exhibit.name]
        )
        for arm in table.arms
    }
