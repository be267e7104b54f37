"""How chosen configurations learn: loss and validation metric over epochs, with replicas."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from study.records.errors import ReportError
from study.records.trial_table import ArmRow, TrialTable
from study.sensitivity.intervals import Interval, t_interval
from study.sensitivity.workloads import Workload, require_chosen, workloads

if TYPE_CHECKING:
    import pandas as pd

LOSS = "train/loss"


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningPoint:
    """One evaluation of one arm.

    Attributes:
        epoch: Epochs trained.
        replicas: The metric per replica, in the order of the seeds.
        interval: Mean over the replicas and its interval.
    """

    epoch: int
    replicas: tuple[float, ...]
    interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """One metric of one arm's chosen configuration over the epochs.

    Attributes:
        arm: Name of the arm.
        method: Method of the arm.
        metric: Key of the metric.
        seeds: Replica seeds.
        points: By increasing epoch.
    """

    arm: str
    method: str
    metric: str
    seeds: tuple[int, ...]
    points: tuple[LearningPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurves:
    """The training of every arm's chosen configuration on one dataset and model.

    Attributes:
        study: Name of the study.
        dataset: Dataset, for people.
        model: Model, for people.
        metrics: Keys of the metrics: the training loss and the objective.
        curves: By metric, then in the order of the arms.
        notes: What is missing, in sentences.
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

    def to_frame(self) -> pd.DataFrame:
        """Return a row per arm, metric and epoch, with every replica under its seed."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "arm": curve.arm,
                    "method": curve.method,
                    "metric": curve.metric,
                    "epoch": point.epoch,
                    "mean": point.interval.mean,
                    "low": point.interval.low,
                    "high": point.interval.high,
                    "n": point.interval.n,
                    **{
                        f"seed_{seed}": value
                        for seed, value in zip(curve.seeds, point.replicas, strict=True)
                    },
                }
                for curve in self.curves
                for point in curve.points
            ]
        )


def learnt_settings(table: TrialTable) -> tuple[Workload, ...]:
    """Return the datasets and models of which some chosen configuration was evaluated twice."""

    def is_followed(arm: ArmRow) -> bool:
        row = table.chosen(arm.name)
        return row is not None and sum(table.objective in r.metrics for r in row.reports) > 1

    return tuple(one for one in workloads(table) if any(map(is_followed, one.arms)))


def learning_curves(table: TrialTable, setting: Workload) -> LearningCurves:
    """Follow training loss and objective of every arm's chosen configuration over the epochs.

    An evaluation at which a replica's value is not finite is left out and named.

    Raises:
        ReportError: If no arm has a completed final trial of 2 replicas and 2 evaluations.
    """
    notes: list[str] = []
    curves: list[LearningCurve] = []
    metrics = (LOSS, table.objective)
    for metric in metrics:
        for arm in setting.arms:
            try:
                curve = _curve(table, arm, metric, notes)
            except ReportError as error:
                notes.append(str(error))
                continue
            if len(curve.points) >= 2:
                curves.append(curve)
            else:
                notes.append(f"Arm '{arm.name}' has {metric} at fewer than two evaluations.")
    notes = list(dict.fromkeys(notes))
    if not curves:
        raise ReportError(
            f"study '{table.study}': learning curves on {setting.dataset} need an arm with a "
            f"completed final trial of 2 replicas that was evaluated twice, but there is none "
            f"({' '.join(notes)})"
        )
    shown = {curve.metric for curve in curves}
    return LearningCurves(
        study=table.study,
        dataset=setting.dataset,
        model=setting.model,
        metrics=tuple(metric for metric in metrics if metric in shown),
        curves=tuple(curves),
        notes=tuple(notes),
    )


def _curve(table: TrialTable, arm: ArmRow, metric: str, notes: list[str]) -> LearningCurve:
    row = require_chosen(table, arm)
    points = []
    for report in row.reports:
        values = report.metrics.get(metric)
        if values is None:
            continue
        if not all(map(math.isfinite, values)):
            notes.append(f"Arm '{arm.name}': {metric} is not finite at epoch {report.epoch}.")
            continue
        points.append(
            LearningPoint(epoch=report.epoch, replicas=values, interval=t_interval(values))
        )
    return LearningCurve(
        arm=arm.name, method=arm.method, metric=metric, seeds=row.seeds, points=tuple(points)
    )
