"""Every arm's chosen configuration against a control, on fresh replica seeds.

Beside it the accuracy of the majority class and the bootstrap intervals over test samples.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from study.records.errors import ReportError
from study.records.trial_table import ArmRow, ParamValue, TrialRow, TrialTable
from study.sensitivity.intervals import (
    CorrectedDifference,
    Interval,
    PairedDifference,
    ReplicaValues,
    align_by_seed,
    apply_holm,
    last_values,
    paired_difference,
    require_replicas,
    t_interval,
)
from study.sensitivity.workloads import Workload, control_of, require_chosen, workloads

TEST_METRICS = (
    "test/accuracy",
    "test/auc",
    "test/nll",
    "test/brier",
    "test/brier_mean",
    "test/ece10",
    "test/ece15",
)
COMPARED_METRICS = (*TEST_METRICS, "filter_cosine/mean")
"""What a comparison covers unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One metric of one arm.

    Attributes:
        metric: Key of the metric.
        replicas: Its value per replica, in the order of the arm's seeds.
        interval: Mean over the replicas and its interval.
        to_control: Paired difference to the control (this arm minus control), Holm-corrected
            over the arms of the same dataset and model; None for the control itself.
    """

    metric: str
    replicas: tuple[float, ...]
    interval: Interval
    to_control: CorrectedDifference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmComparison:
    """One arm: its chosen configuration and what it reached.

    Attributes:
        arm: Name of the arm.
        method: Method of the arm.
        dataset: Dataset, for people.
        model: Model, for people.
        params: The chosen configuration.
        seeds: Replica seeds.
        measurements: By metric, in the comparison's order; empty where ``notes`` say why.
    """

    arm: str
    method: str
    dataset: str
    model: str
    params: Mapping[str, ParamValue]
    seeds: tuple[int, ...]
    measurements: tuple[Measurement, ...]

    def get(self, metric: str) -> Measurement | None:
        """Give the measurement of a metric, or None."""
        return next((m for m in self.measurements if m.metric == metric), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All arms of a study against one control.

    Attributes:
        study: Name of the study.
        against: Method of the control: ``base`` or ``random``.
        metrics: Keys of the metrics.
        rows: One per arm, in the order of the study file, also for an arm without results.
        notes: What is missing, in sentences.
    """

    study: str
    against: str
    metrics: tuple[str, ...]
    rows: tuple[ArmComparison, ...]
    notes: tuple[str, ...]

    def row(self, arm: str) -> ArmComparison:
        """Give the row of that arm; KeyError if there is none."""
        for row in self.rows:
            if row.arm == arm:
                return row
        raise KeyError(arm)


_Values = dict[tuple[str, str], ReplicaValues]


def compare(
    table: TrialTable, metrics: Sequence[str] = COMPARED_METRICS, *, against: str = "base"
) -> Comparison:
    """Compare every arm's chosen configuration with the control of its dataset and model.

    One family of comparisons is one metric of one dataset and model. Against another control
    than Base, Base itself is not compared: that pair is in the comparison with Base. An arm
    without results keeps its row, empty, and a note.

    Args:
        table: Trials of the study.
        metrics: Keys of the metrics to compare.
        against: Method of the control; the first arm of it on a dataset and model is taken.

    Raises:
        ReportError: If no arm has a completed final trial with 2 replicas, or trials that
            should be pairs have different seeds.
    """
    values, notes = _measured_values(table, metrics)
    if not values:
        raise ReportError(
            f"study '{table.study}': a comparison needs an arm with a completed final trial of "
            f"at least 2 replicas, but there is none ({' '.join(notes)})"
        )
    differences = {
        key: difference
        for workload in workloads(table)
        for metric in metrics
        for key, difference in _corrected_family(table, workload, metric, values, against).items()
    }
    without = [s for s in workloads(table) if control_of(table, s.arms[0], against) is None]
    return Comparison(
        study=table.study,
        against=against,
        metrics=tuple(metrics),
        rows=tuple(_row(table, arm, metrics, values, differences) for arm in table.arms),
        notes=(
            *notes,
            *(f"The study has no {against} arm on {s.dataset} with {s.model}." for s in without),
        ),
    )


def _measured_values(table: TrialTable, metrics: Sequence[str]) -> tuple[_Values, tuple[str, ...]]:
    values: _Values = {}
    notes: list[str] = []
    for arm in table.arms:
        try:
            chosen = require_chosen(table, arm)
            require_replicas(arm.name, chosen.seeds)
        except ReportError as error:
            notes.append(str(error))
            continue
        for metric in metrics:
            try:
                values[arm.name, metric] = last_values(chosen, metric)
            except ReportError as error:
                notes.append(str(error))
    return values, tuple(notes)


def _corrected_family(
    table: TrialTable, workload: Workload, metric: str, values: _Values, against: str
) -> dict[tuple[str, str], CorrectedDifference | None]:
    control = control_of(table, workload.arms[0], against)
    reference = None if control is None else values.get((control.name, metric))
    found: dict[tuple[str, str], PairedDifference] = {}
    for arm in workload.arms:
        mine = values.get((arm.name, metric))
        is_compared = arm != control and (against == "base" or arm.method != "base")
        if mine is not None and reference is not None and is_compared:
            found[arm.name, metric] = paired_difference(*align_by_seed(mine, reference))
    return dict(zip(found, apply_holm(list(found.values())), strict=True))


def _row(
    table: TrialTable,
    arm: ArmRow,
    metrics: Sequence[str],
    values: _Values,
    differences: Mapping[tuple[str, str], CorrectedDifference | None],
) -> ArmComparison:
    chosen = table.chosen(arm.name)
    return ArmComparison(
        arm=arm.name,
        method=arm.method,
        dataset=arm.dataset,
        model=arm.model,
        params=dict(arm.best_params or {}),
        seeds=() if chosen is None else chosen.seeds,
        measurements=tuple(
            Measurement(
                metric=metric,
                replicas=values[arm.name, metric].values,
                interval=t_interval(values[arm.name, metric].values),
                to_control=differences.get((arm.name, metric)),
            )
            for metric in metrics
            if (arm.name, metric) in values
        ),
    )


_METRIC = "test/majority_accuracy"


@dataclass(frozen=True, slots=True, kw_only=True)
class MajorityClass:
    """Accuracy on the test split of the most frequent class of the training split.

    Attributes:
        replicas: Its value per replica; they differ where replicas train on different samples.
        interval: Mean over the replicas and its interval, which is a point where they agree.
    """

    replicas: tuple[float, ...]
    interval: Interval


def majority_class(table: TrialTable, workload: Workload) -> MajorityClass | None:
    """Give the accuracy of the majority class; None where there are no texts or no results.

    It is the same for every arm: that of the first arm with a result of 2 replicas is given.
    """
    for arm in workload.arms:
        chosen = table.chosen(arm.name)
        values = None if chosen is None else chosen.last(_METRIC)
        if arm.domain == "text" and values is not None and len(values) > 1:
            return MajorityClass(replicas=values, interval=t_interval(values))
    return None


BOOTSTRAPPED = ("test/accuracy", "test/auc")
"""Metrics that have intervals over test samples."""

_DRAWS = "test_bootstrap/resamples"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleInterval:
    """One metric of one arm.

    Attributes:
        metric: Key of the metric.
        mean: Mean over the replicas.
        low: Lower end of the interval over test samples, averaged over the replicas.
        high: Upper end, likewise.
    """

    metric: str
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSampleIntervals:
    """The intervals over test samples of one arm's chosen configuration.

    Attributes:
        arm: Name of the arm.
        method: Method of the arm.
        n: Number of replicas.
        intervals: By metric.
        draws: Draws of test samples that were used; the fewest of any metric and replica.
        n_classes: Number of classes of the dataset.
        classes_left_out: Classes that the AUC leaves out because no test sample or every one
            has them; the most of any replica.
    """

    arm: str
    method: str
    n: int
    intervals: tuple[SampleInterval, ...]
    draws: int
    n_classes: int
    classes_left_out: int


def sample_intervals(table: TrialTable, workload: Workload) -> tuple[ArmSampleIntervals, ...]:
    """Give the intervals over test samples of the arms that have them.

    Each replica has a percentile interval of its own; its ends are averaged over the replicas.
    Such an interval covers the choice of the test samples, and nothing of what changes with the
    replica's seed.

    Raises:
        ReportError: If a result is incomplete or not finite.
    """
    found = ((arm, table.chosen(arm.name)) for arm in workload.arms)
    return tuple(
        _arm_intervals(arm, chosen)
        for arm, chosen in found
        if chosen is not None and chosen.last(_DRAWS) is not None
    )


def _arm_intervals(arm: ArmRow, row: TrialRow) -> ArmSampleIntervals:
    averaged = last_values(row, "test/auc_classes").values
    return ArmSampleIntervals(
        arm=arm.name,
        method=arm.method,
        n=len(row.seeds),
        intervals=tuple(_interval(row, metric) for metric in BOOTSTRAPPED),
        draws=round(min(last_values(row, _DRAWS).values)),
        n_classes=arm.n_classes,
        classes_left_out=arm.n_classes - round(min(averaged)),
    )


def _interval(row: TrialRow, metric: str) -> SampleInterval:
    name = metric.removeprefix("test/")
    keys = (metric, f"test_bootstrap/{name}/low", f"test_bootstrap/{name}/high")
    mean, low, high = (statistics.fmean(last_values(row, key).values) for key in keys)
    return SampleInterval(metric=metric, mean=mean, low=low, high=high)
