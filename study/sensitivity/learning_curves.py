"""Learning curves of chosen configurations: loss and validation metric over epochs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from study.records.errors import ReportError
from study.records.frames import Row, Tabular
from study.records.trial_table import ArmRow, TrialRow, TrialTable
from study.sensitivity.intervals import Replicated, interval_cells, replica_cells
from study.sensitivity.workloads import Workload, read_arms, require_replicated, workloads

LOSS = "train/loss"


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningPoint(Replicated):
    """One evaluation of one arm, after a number of epochs."""

    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """One metric of one arm's chosen configuration over the epochs."""

    arm: str
    method: str
    metric: str
    seeds: tuple[int, ...]
    points: tuple[LearningPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurves(Tabular):
    """The training of every arm's chosen configuration on one dataset and model.

    Attributes:
        metrics: Keys of the metrics: the training loss and the objective.
        curves: By metric, then in the order of the arms.
        notes: Missing arms and evaluations, in sentences.
    """

    study: str
    dataset: str
    model: str
    metrics: tuple[str, ...]
    curves: tuple[LearningCurve, ...]
    notes: tuple[str, ...]

    def of(self, metric: str) -> tuple[LearningCurve, ...]:
        """Return the curves of one metric."""
        return tuple(curve for curve in self.curves if curve.metric == metric)

    def frame_rows(self) -> Iterator[Row]:
        """Yield a row per arm, metric and epoch."""
        for curve in self.curves:
            for point in curve.points:
                yield {
                    "arm": curve.arm,
                    "method": curve.method,
                    "metric": curve.metric,
                    "epoch": point.epoch,
                    **interval_cells(point.interval),
                    **replica_cells(curve.seeds, point.replicas),
                }


def workloads_with_curves(table: TrialTable) -> tuple[Workload, ...]:
    """Return the workloads of which a chosen configuration was evaluated at two epochs."""

    def has_curve(arm: ArmRow) -> bool:
        row = table.chosen(arm.name)
        return row is not None and sum(table.objective in r.metrics for r in row.reports) > 1

    return tuple(one for one in workloads(table) if any(map(has_curve, one.arms)))


def learning_curves(table: TrialTable, workload: Workload) -> LearningCurves:
    """Return training loss and objective of every arm's chosen configuration over the epochs.

    An evaluation at which a replica's value is not finite is left out and named.

    Raises:
        ReportError: If no arm has a completed final trial of 2 replicas and 2 evaluations.
    """
    rows, missing = read_arms(workload.arms, partial(require_replicated, table))
    notes = list(missing)
    curves: list[LearningCurve] = []
    metrics = (LOSS, table.objective)
    for metric, arm in itertools.product(metrics, rows):
        curve = _curve(table.arm(arm), rows[arm], metric, notes)
        if len(curve.points) >= 2:
            curves.append(curve)
        else:
            notes.append(f"Arm '{arm}' has {metric} at fewer than two evaluations.")
    if not curves:
        raise ReportError(
            f"study '{table.study}': learning curves on {workload.dataset} need an arm with a "
            f"completed final trial of 2 replicas that was evaluated twice, but there is none "
            f"({' '.join(notes)})"
        )
    return LearningCurves(
        study=table.study,
        dataset=workload.dataset,
        model=workload.model,
        metrics=tuple(dict.fromkeys(curve.metric for curve in curves)),
        curves=tuple(curves),
        notes=tuple(notes),
    )


def _curve(arm: ArmRow, row: TrialRow, metric: str, notes: list[str]) -> LearningCurve:
    points = []
    for report in row.reports:
        values = report.metrics.get(metric, ())
        if not all(map(math.isfinite, values)):
            notes.append(f"Arm '{arm.name}': {metric} is not finite at epoch {report.epoch}.")
        elif values:
            points.append(LearningPoint(epoch=report.epoch, replicas=values))
    return LearningCurve(
        arm=arm.name, method=arm.method, metric=metric, seeds=row.seeds, points=tuple(points)
    )
