"""Correlation of filter cosine and a metric over trials; it proves no cause."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scipy import stats

from study.records.errors import ReportError
from study.records.frames import Row, Tabular
from study.records.trial_table import ArmRow, PhaseName, TrialTable
from study.sensitivity.intervals import CONFIDENCE
from study.sensitivity.layer_cosine import MEAN_LAYER
from study.sensitivity.workloads import Workload

COSINE = f"filter_cosine/{MEAN_LAYER}"
_MIN_TRIALS = 6
"""With fewer trials Fisher's interval of a correlation covers nearly the whole range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """Pearson's correlation of n trials with Fisher's interval; p is two-sided."""

    r: float
    low: float
    high: float
    p_value: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPoint:
    """The means of one trial over its replicas at the last evaluation."""

    number: int
    cosine: float
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmScatter:
    """The trials of one arm; no correlation of fewer than 6 trials or without any spread."""

    arm: str
    method: str
    points: tuple[TrialPoint, ...]
    correlation: Correlation | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CosineAndAccuracy(Tabular):
    """Filter cosine and a metric of the completed trials on one dataset and model.

    Attributes:
        phase: Trials of the search (validation) or final trials (test).
        overall: Correlation over the trials of all arms.
    """

    study: str
    dataset: str
    model: str
    phase: PhaseName
    metric: str
    arms: tuple[ArmScatter, ...]
    overall: Correlation | None

    def frame_rows(self) -> Iterator[Row]:
        """Yield a row per trial."""
        for arm in self.arms:
            for point in arm.points:
                yield {
                    "phase": self.phase,
                    "arm": arm.arm,
                    "trial_number": point.number,
                    "filter_cosine/mean": point.cosine,
                    self.metric: point.accuracy,
                }


def cosine_and_accuracy(
    table: TrialTable, workload: Workload, phase: PhaseName, metric: str
) -> CosineAndAccuracy:
    """Correlate the mean filter cosine of completed trials with a metric.

    Trials of one arm differ in their parameters and share their seeds. The correlation over
    several arms includes the difference between the arms, so each arm has its own too.

    Raises:
        ReportError: If fewer than 6 trials completed with both.
    """
    arms = tuple(
        ArmScatter(
            arm=arm.name, method=arm.method, points=points, correlation=_correlation(points)
        )
        for arm in workload.arms
        if (points := _points(table, arm, phase, metric))
    )
    every = [point for arm in arms for point in arm.points]
    if len(every) < _MIN_TRIALS:
        raise ReportError(
            f"study '{table.study}': the correlation of filter cosine and {metric} on "
            f"{workload.dataset} needs at least {_MIN_TRIALS} completed {phase} trials that "
            f"report both, but there are {len(every)}; sweep a dimension or search longer."
        )
    return CosineAndAccuracy(
        study=table.study,
        dataset=workload.dataset,
        model=workload.model,
        phase=phase,
        metric=metric,
        arms=arms,
        overall=_correlation(every),
    )


def _points(
    table: TrialTable, arm: ArmRow, phase: PhaseName, metric: str
) -> tuple[TrialPoint, ...]:
    return tuple(
        TrialPoint(
            number=row.number,
            cosine=statistics.fmean(cosine),
            accuracy=statistics.fmean(accuracy),
        )
        for row in table.select(arm.name, phase)
        if row.state == "COMPLETE"
        and (cosine := row.last(COSINE))
        and (accuracy := row.last(metric))
    )


def _correlation(points: Sequence[TrialPoint]) -> Correlation | None:
    cosines = [point.cosine for point in points]
    accuracies = [point.accuracy for point in points]
    if len(points) < _MIN_TRIALS or len(set(cosines)) == 1 or len(set(accuracies)) == 1:
        return None
    found = stats.pearsonr(cosines, accuracies)
    interval = found.confidence_interval(CONFIDENCE)
    return Correlation(
        r=float(found.statistic),
        low=float(interval.low),
        high=float(interval.high),
        p_value=float(found.pvalue),
        n=len(points),
    )
