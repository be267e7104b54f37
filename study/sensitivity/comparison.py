"""Every arm's chosen configuration against a control, on fresh replica seeds.

Also the accuracy of the majority class, and bootstrap intervals over test samples.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from study.records.errors import ReportError
from study.records.frames import Row, Tabular
from study.records.trial_table import ArmRow, ParamValue, TrialRow, TrialTable
from study.sensitivity.intervals import (
    CorrectedDifference,
    Replicated,
    ReplicaValues,
    correct_family,
    difference_cells,
    last_values,
    replica_cells,
    seed_difference,
)
from study.sensitivity.replica_health import not_covered, seeds_at_chance
from study.sensitivity.workloads import (
    Workload,
    control_of,
    read_arms,
    require_replicated,
    workloads,
)

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
"""Metrics that a comparison covers by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement(Replicated):
    """One metric of one arm.

    Attributes:
        to_control: Paired difference to the control (this arm minus control), Holm-corrected
            over the arms of the same dataset and model; None for the control itself.
    """

    metric: str
    to_control: CorrectedDifference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmComparison:
    """The chosen configuration of one arm and its results.

    Attributes:
        measurements: By metric, in the comparison's order; empty where ``notes`` give a reason.
        at_chance: Seeds of the replicas that have learned nothing (:func:`seeds_at_chance`): with
            any of them the intervals of all metrics are not to be trusted.
        not_covered: Choices that the intervals do not cover: ``training images``, ``test images``.
        control: What it is compared with, in words: ``Base``, ``Random``, ``matched
            Random``, and beside that one ``Random with its own search``.
    """

    arm: str
    method: str
    dataset: str
    model: str
    params: Mapping[str, ParamValue]
    seeds: tuple[int, ...]
    measurements: tuple[Measurement, ...]
    at_chance: tuple[int, ...]
    not_covered: tuple[str, ...]
    control: str = ""

    def get(self, metric: str) -> Measurement | None:
        """Return the measurement of a metric."""
        return next((m for m in self.measurements if m.metric == metric), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Tabular):
    """All arms of a study against one control.

    Attributes:
        against: Method of the control: ``base`` or ``random``.
        rows: One per arm, in the order of the study file, also for an arm without results.
        notes: Missing results, in sentences.
    """

    study: str
    against: str
    metrics: tuple[str, ...]
    rows: tuple[ArmComparison, ...]
    notes: tuple[str, ...]

    def row(self, arm: str) -> ArmComparison:
        """Return the row of an arm.

        Raises:
            KeyError: If the study has no such arm.
        """
        for row in self.rows:
            if row.arm == arm:
                return row
        raise KeyError(arm)

    def frame_rows(self) -> Iterator[Row]:
        """Yield a row per arm and metric."""
        for row in self.rows:
            for measurement in row.measurements:
                yield {
                    "arm": row.arm,
                    "method": row.method,
                    "dataset": row.dataset,
                    "model": row.model,
                    "metric": measurement.metric,
                    "against": self.against,
                    **measurement.level_cells(),
                    "seeds_at_chance": "; ".join(map(str, row.at_chance)) or None,
                    "not_covered": "; ".join(row.not_covered),
                    **difference_cells(measurement.to_control, "control"),
                    **replica_cells(row.seeds, measurement.replicas),
                    **{f"params/{name}": value for name, value in row.params.items()},
                }


_Values = dict[tuple[str, str], ReplicaValues]


def compare(
    table: TrialTable, metrics: Sequence[str] = COMPARED_METRICS, *, against: str = "base"
) -> Comparison:
    """Compare every arm's chosen configuration with the control of its dataset and model.

    One family of comparisons is one metric of one dataset and model; the control is that of
    :func:`control_of`. Against another control than Base, Base itself is not compared: that
    pair is in the comparison with Base. An arm without results keeps an empty row, and a note.

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
    differences: dict[tuple[str, str], CorrectedDifference] = {}
    without = []
    for workload in workloads(table):
        if control_of(table, workload.arms[0], against) is None:
            without.append(workload)
        for metric in metrics:
            differences |= _corrected_family(table, workload, metric, values, against)
    return Comparison(
        study=table.study,
        against=against,
        metrics=tuple(metrics),
        rows=tuple(_row(table, arm, against, metrics, values, differences) for arm in table.arms),
        notes=(
            *notes,
            *(f"The study has no {against} arm on {s.dataset} with {s.model}." for s in without),
        ),
    )


def _measured_values(table: TrialTable, metrics: Sequence[str]) -> tuple[_Values, tuple[str, ...]]:
    chosen, notes = read_arms(table.arms, partial(require_replicated, table))
    values: _Values = {}
    missing = []
    for arm, row in chosen.items():
        for metric in metrics:
            try:
                values[arm, metric] = last_values(row, metric)
            except ReportError as error:
                missing.append(str(error))
    return values, (*notes, *missing)


def _corrected_family(
    table: TrialTable, workload: Workload, metric: str, values: _Values, against: str
) -> dict[tuple[str, str], CorrectedDifference]:
    differences = {}
    for arm in workload.arms:
        control = control_of(table, arm, against)
        if control in (None, arm) or (against != "base" and arm.method == "base"):
            continue
        own, reference = (values.get((one.name, metric)) for one in (arm, control))
        if own is not None and reference is not None:
            differences[arm.name, metric] = seed_difference(own, reference)
    return correct_family(differences)


def _row(
    table: TrialTable,
    arm: ArmRow,
    against: str,
    metrics: Sequence[str],
    values: _Values,
    differences: Mapping[tuple[str, str], CorrectedDifference],
) -> ArmComparison:
    chosen = table.chosen(arm.name)
    control = control_of(table, arm, against)
    return ArmComparison(
        control=_control_name(table, arm, control, against),
        arm=arm.name,
        method=arm.method,
        dataset=arm.dataset,
        model=arm.model,
        params=dict(arm.best_params or {}),
        seeds=() if chosen is None else chosen.seeds,
        at_chance=() if chosen is None else seeds_at_chance(arm, chosen),
        not_covered=not_covered(arm),
        measurements=tuple(
            Measurement(
                metric=metric,
                replicas=values[arm.name, metric].values,
                to_control=differences.get((arm.name, metric)),
            )
            for metric in metrics
            if (arm.name, metric) in values
        ),
    )


def _control_name(table: TrialTable, arm: ArmRow, control: ArmRow | None, against: str) -> str:
    """Return a control in words; those with a choice of their own are told from matched ones."""
    name = against.capitalize()
    if control is not None and control.like == arm.name:
        return f"matched {name}"
    has_matched = any(one.method == against and one.like is not None for one in table.arms)
    is_own = control is not None and control.like is None
    return f"{name} with its own search" if has_matched and is_own else name


_MAJORITY_METRIC = "test/majority_accuracy"


@dataclass(frozen=True, slots=True, kw_only=True)
class MajorityClass(Replicated):
    """Accuracy on the test split of the most frequent class of the training split.

    Replicas differ where they train on different samples; where they agree the interval is a
    point.
    """


def majority_class(table: TrialTable, workload: Workload) -> MajorityClass | None:
    """Return the accuracy of the majority class, for texts only.

    It is equal for all arms: the first arm with a result of 2 replicas is taken.
    """
    for arm in workload.arms:
        chosen = table.chosen(arm.name)
        values = None if chosen is None else chosen.last(_MAJORITY_METRIC)
        if arm.domain == "text" and values is not None and len(values) > 1:
            return MajorityClass(replicas=values)
    return None


BOOTSTRAPPED = ("test/accuracy", "test/auc")
"""Metrics that have intervals over test samples."""

_RESAMPLES = "test_bootstrap/resamples"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleInterval:
    """One metric of one arm: means over the replicas of the value and of its interval's ends."""

    metric: str
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSampleIntervals(Tabular):
    """The intervals over test samples of one arm's chosen configuration.

    Attributes:
        n: Number of replicas.
        resamples: Resamples of the test set that were used; the fewest of any metric and replica.
        classes_left_out: Classes that the AUC leaves out because no test sample or every test
            sample has them; the most of any replica.
    """

    arm: str
    method: str
    n: int
    intervals: tuple[SampleInterval, ...]
    resamples: int
    n_classes: int
    classes_left_out: int

    def frame_rows(self) -> Iterator[Row]:
        """Yield a row per metric."""
        for one in self.intervals:
            yield {
                "arm": self.arm,
                "method": self.method,
                "metric": one.metric,
                "interval_over": "test samples",
                "mean": one.mean,
                "low": one.low,
                "high": one.high,
                "n": self.n,
                "resamples": self.resamples,
                "classes_left_out": self.classes_left_out,
            }


def sample_intervals(table: TrialTable, workload: Workload) -> tuple[ArmSampleIntervals, ...]:
    """Return the intervals over test samples of the arms that have them.

    The ends of the replicas' percentile intervals are averaged over the replicas. Such an
    interval covers the choice of the test samples only, not the variation between seeds.

    Raises:
        ReportError: If a result is incomplete or not finite.
    """
    found = ((arm, table.chosen(arm.name)) for arm in workload.arms)
    return tuple(
        _arm_intervals(arm, chosen)
        for arm, chosen in found
        if chosen is not None and chosen.last(_RESAMPLES) is not None
    )


def _arm_intervals(arm: ArmRow, row: TrialRow) -> ArmSampleIntervals:
    averaged = last_values(row, "test/auc_classes").values
    return ArmSampleIntervals(
        arm=arm.name,
        method=arm.method,
        n=len(row.seeds),
        intervals=tuple(_interval(row, metric) for metric in BOOTSTRAPPED),
        resamples=round(min(last_values(row, _RESAMPLES).values)),
        n_classes=arm.n_classes,
        classes_left_out=arm.n_classes - round(min(averaged)),
    )


def _interval(row: TrialRow, metric: str) -> SampleInterval:
    name = metric.removeprefix("test/")
    keys = (metric, f"test_bootstrap/{name}/low", f"test_bootstrap/{name}/high")
    mean, low, high = (statistics.fmean(last_values(row, key).values) for key in keys)
    return SampleInterval(metric=metric, mean=mean, low=low, high=high)
