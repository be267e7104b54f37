"""Records of arms that depend on all trials of a study.

The chosen configuration's results are in the parent run under the same keys as in the trials',
so that arms sort and compare in the table of runs; so does what an arm has cost. Few keys keep
MLflow's page quick: the report's tables and the trials have the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from study.records.errors import ReportError
from study.records.trial_table import ArmRow, TrialRow, TrialTable
from study.tracking.logged_metrics import difference_keys, logged_metrics
from study.tracking.mlflow_records import arm_key, cost_metrics, replica_metrics, trial_key
from study.tracking.record_types import LogMetrics, MlflowRecord, SetTags
from study.tracking.sweep_points import sweep_records

if TYPE_CHECKING:
    from study.sensitivity import ArmComparison


def arm_summary_records(table: TrialTable) -> Iterator[MlflowRecord]:
    """Return each arm's metrics and sensitivity, and say which final trials are chosen.

    Runs have their arm's color of the report's figures.
    The step of a result is the number of trials that have ended in the whole study: one that
    goes on adds a point instead of contradicting one. An arm whose trials have not ended gets
    nothing, and curves over a dimension come once the study has ended.
    """
    # Slow to import, for commands that show no result.
    from study.figures.theme import looks_by_arm

    looks = looks_by_arm((arm.name, arm.method) for arm in table.arms)
    ended = [row for row in table.rows if row.is_finished]
    logged = logged_metrics(table)
    compared = _compared_metrics(table)
    for arm in table.arms:
        rows = [row for row in ended if row.arm == arm.name]
        if not rows:
            continue
        found = arm_metrics(table, arm, rows) | compared.get(arm.name, {})
        yield LogMetrics(
            run_key=arm_key(arm.name),
            epoch=len(ended),
            time_ms=max(row.finished_ms or row.started_ms for row in ended),
            metrics={key: found[key] for key in logged.results if key in found},
            name="arm_summary",
        )
        color = {"mlflow.runColor": looks[arm.name].color}
        yield SetTags(run_key=arm_key(arm.name), tags=color)
        for row in rows:
            if row.phase == "final":
                is_chosen = str(row == table.chosen(row.arm)).lower()
                yield SetTags(run_key=trial_key(row), tags={"is_chosen": is_chosen, **color})
    if not table.open:
        # A point that MLflow has is not replaced, and one of today might lack a metric.
        yield from sweep_records(table, logged)


def arm_metrics(table: TrialTable, arm: ArmRow, rows: Sequence[TrialRow]) -> dict[str, float]:
    """Return an arm's own metrics.

    Args:
        table: Trials of the study.
        arm: The arm.
        rows: Its trials that have ended.

    Returns:
        Under a trial's own keys (``test/accuracy``, ``test/accuracy_ci_low``, …) the last values
        of the chosen configuration's final trial; under ``best/<objective>`` the best search
        trial's value; the arm's ``cost/…``, as far as its trials were measured.
    """
    found = dict(cost_metrics(rows))
    best = table.best_search(arm.name)
    if best is not None:
        means = replica_metrics({table.objective: best.last(table.objective) or ()})
        found |= {f"best/{key}": value for key, value in means.items()}
    chosen = table.chosen(arm.name)
    if chosen is not None:
        keys = {key for report in chosen.reports for key in report.metrics}
        found |= replica_metrics({key: chosen.last(key) or () for key in keys})
    return found


def _compared_metrics(table: TrialTable) -> Mapping[str, dict[str, float]]:
    """Return the paired differences to Base and the ends of their intervals, by arm."""
    # Slow to import, for commands that show no result.
    from study.sensitivity import compare

    try:
        comparison = compare(table)
    except ReportError:
        return {}  # the report names what is missing
    return {arm.arm: dict(_differences(arm)) for arm in comparison.rows}


def _differences(arm: ArmComparison) -> Iterator[tuple[str, float]]:
    for measured in arm.measurements:
        if measured.to_control is None:
            continue
        difference = measured.to_control.difference.interval
        ends = (difference.mean, difference.low, difference.high)
        for key, value in zip(difference_keys(measured.metric), ends, strict=True):
            if math.isfinite(value):
                yield key, value
