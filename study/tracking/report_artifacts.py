"""A report's MLflow records: summaries as notes, figures, tables and files as artifacts.

A parent run holds ``report.html``, ``summary.md``, ``study.yaml`` and ``environment.json`` at
first sight, every figure under ``figures/`` (as SVG in ``figures/svg/``), and under ``tables/``
every table of the report as MLflow shows tables (and every analysis' numbers in ``tables/csv/``
and ``tables/parquet/``). The final trial of the chosen configuration has the attribution maps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from study.records.trial_table import ArmRow, TrialTable
from study.storage.layout import StudyFolder
from study.tracking.arm_summary import arm_summary_records
from study.tracking.mlflow_records import TrackedStudy, arm_key, saved_views, trial_key
from study.tracking.record_types import (
    EXPERIMENT_ID,
    Cell,
    LogArtifact,
    LogTable,
    MlflowRecord,
    note,
)
from study.tracking.saved_views import view_links

if TYPE_CHECKING:
    from study.report import ReportFiles, Table

_MAPS: Final = "attribution-maps"
# MLflow's page previews the file that is clicked: the figures come before the rest.
_FOLDERS: Final = {
    ".png": "figures",
    ".svg": "figures/svg",
    ".csv": "tables/csv",
    ".parquet": "tables/parquet",
}


def artifact_records(
    tracked: TrackedStudy, table: TrialTable, files: ReportFiles, folder: StudyFolder
) -> Iterator[MlflowRecord]:
    """Yield the records of a report; arms without trials have no run and get none.

    MLflow shows the first line of a note, and the name above it: notes begin with the result.
    """
    # Slow to import, for commands that write no report.
    from study.report import arm_note

    result, _, rest = _without_heading(files.summary.read_text(encoding="utf-8")).partition("\n")
    links = view_links(saved_views(tracked, table), EXPERIMENT_ID)
    # Without the bold print, which the list of experiments shows as stars.
    yield note(None, f"{result.strip('*')}\n\n{links}\n{rest}")
    for arm in table.arms:
        if any(row.arm == arm.name for row in table.rows):
            yield note(arm_key(arm.name), _without_heading(arm_note(table, arm, files.written)))
            yield from _arm_files(arm, files, folder)
            yield from _trial_files(table, arm, files, folder)
    yield from arm_summary_records(table)


def _without_heading(markdown: str) -> str:
    return re.sub(r"\A# .*\n+", "", markdown)


def _arm_files(arm: ArmRow, files: ReportFiles, folder: StudyFolder) -> Iterator[MlflowRecord]:
    key = arm_key(arm.name)
    study_files = (folder.spec, folder.sweeps, folder.provenance)
    yield from _artifacts(key, (files.html, files.summary, files.environment, *study_files), "")
    for path in (*files.figures[arm.name], *files.tables[arm.name]):
        yield from _artifacts(key, [path], _FOLDERS[path.suffix])
    for name, shown in files.shown[arm.name]:
        yield LogTable(run_key=key, name=f"tables/{name}.json", columns=_columns(shown))


def _trial_files(
    table: TrialTable, arm: ArmRow, files: ReportFiles, folder: StudyFolder
) -> Iterator[MlflowRecord]:
    """Return the chosen final trial its attribution maps, drawn and as numbers."""
    chosen = table.chosen(arm.name)
    if chosen is None:
        return
    drawn = [p for p in files.figures[arm.name] if _MAPS in p.stem and p.suffix == ".png"]
    numbers = folder.path / chosen.folder / "attribution_maps.npz"
    yield from _artifacts(trial_key(chosen), drawn, "figures")
    yield from _artifacts(trial_key(chosen), [numbers], "")


def _artifacts(key: str, paths: Sequence[Path], artifact_folder: str) -> Iterator[LogArtifact]:
    for path in paths:
        if path.exists():
            yield LogArtifact(
                run_key=key, path=str(path.absolute()), artifact_folder=artifact_folder
            )


def _columns(shown: Table) -> dict[str, list[Cell]]:
    """Turn a table of the report into columns; heads that repeat are numbered.

    MLflow shows no caption that would explain a mark: its words stand in the cell.
    """
    # Slow to import, for commands that write no report.
    from study.figures.marks import DAGGER

    columns: dict[str, list[Cell]] = {}
    for place, head in enumerate(shown.columns):
        name = head if head not in columns else f"{head} ({place + 1})"
        columns[name] = [row[place].replace(DAGGER, "(at chance)") for row in shown.rows]
    return columns
