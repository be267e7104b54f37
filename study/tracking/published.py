"""What of a report goes to MLflow: the summary as notes, figures and tables as artifacts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from study.errors import ReportError
from study.store.folder import StudyFolder
from study.tracking.entries import Entry, LogArtifact, LogMetrics, SetNote
from study.tracking.projection import arm_key
from study.trial_table import TrialTable

if TYPE_CHECKING:
    from study.report import ReportFiles
    from study.sensitivity import ArmComparison


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
            # The page previews every file: one picture of each figure is enough to leaf through.
            *((p, "figures" if p.suffix == ".png" else "vector") for p in files.figures[arm.name]),
            *((path, "tables") for path in files.tables[arm.name]),
        ):
            yield LogArtifact(
                run_key=key, path=str(path.absolute()), artifact_folder=artifact_folder
            )
    yield from comparison_entries(table)


def comparison_entries(table: TrialTable) -> Iterator[LogMetrics]:
    """Give each arm's test metrics with their intervals, so that MLflow can compare arms.

    ``test/accuracy`` is the mean over the replicas of the chosen configuration;
    ``…_ci_low`` and ``…_ci_high`` are the ends of its 95 % interval, ``…_minus_base`` and its
    ends the paired difference to Base. The step is the number of the arm's trials, so that a
    study that goes on adds a point instead of contradicting one.
    """
    # Slow to import, for commands that show no result.
    from study.sensitivity import compare

    try:
        comparison = compare(table)
    except ReportError:
        return  # the report names what is missing
    for arm in comparison.rows:
        rows = [row for row in table.rows if row.arm == arm.arm]
        if arm.measurements:
            yield LogMetrics(
                run_key=arm_key(arm.arm),
                epoch=len(rows),
                time_ms=max(row.finished_ms or row.started_ms for row in rows),
                metrics=_metrics(arm),
                name="comparison",
            )


def _metrics(arm: ArmComparison) -> dict[str, float]:
    points: dict[str, float] = {"replicas": float(len(arm.seeds))}
    for measured in arm.measurements:
        intervals = {measured.metric: measured.interval}
        if measured.to_control is not None:
            intervals[f"{measured.metric}_minus_base"] = measured.to_control.difference.interval
        for key, interval in intervals.items():
            points[key] = interval.mean
            points[f"{key}_ci_low"] = interval.low
            points[f"{key}_ci_high"] = interval.high
    return points
