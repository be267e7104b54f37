"""What of a report goes to MLflow: the summary as notes, figures and tables as artifacts."""

from __future__ import annotations

from collections.abc import Iterator

from study.folder import StudyFolder
from study.report import ReportFiles
from study.tracking.entries import Entry, LogArtifact, SetNote
from study.tracking.projection import arm_key
from study.trial_table import TrialTable


def report_entries(table: TrialTable, files: ReportFiles, folder: StudyFolder) -> Iterator[Entry]:
    """Give the outbox entries of a report; arms without trials have no run and get none."""
    summary = files.summary.read_text(encoding="utf-8")
    yield SetNote(run_key=None, markdown=summary)
    for arm in table.arms:
        if not any(row.arm == arm.name for row in table.rows):
            continue
        key = arm_key(arm.name)
        yield SetNote(run_key=key, markdown=summary)
        for path, artifact_folder in (
            (files.html, "report"),
            (files.summary, "report"),
            (folder.spec, "study"),
            *((path, "figures") for path in files.figures[arm.name]),
            *((path, "tables") for path in files.tables[arm.name]),
        ):
            yield LogArtifact(
                run_key=key, path=str(path.absolute()), artifact_folder=artifact_folder
            )
