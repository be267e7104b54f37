"""Every arm's chosen configuration beside its control, on seeds that the search never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from study.errors import ReportError
from study.sensitivity.intervals import (
    CorrectedDifference,
    Interval,
    PairedDifference,
    correct,
    paired_difference,
    t_interval,
)
from study.sensitivity.replicas import (
    ReplicaValues,
    last_values,
    paired_by_seed,
    require_replicas,
)
from study.sensitivity.settings import Setting, control_of, require_chosen, settings
from study.trial_table import ArmRow, ParamValue, TrialTable

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
    values, notes = _measured(table, metrics)
    if not values:
        raise ReportError(
            f"study '{table.study}': a comparison needs an arm with a completed final trial of "
            f"at least 2 replicas, but there is none ({' '.join(notes)})"
        )
    differences = {
        key: difference
        for setting in settings(table)
        for metric in metrics
        for key, difference in _family(table, setting, metric, values, against).items()
    }
    without = [s for s in settings(table) if control_of(table, s.arms[0], against) is None]
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


def _measured(table: TrialTable, metrics: Sequence[str]) -> tuple[_Values, tuple[str, ...]]:
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


def _family(
    table: TrialTable, setting: Setting, metric: str, values: _Values, against: str
) -> dict[tuple[str, str], CorrectedDifference | None]:
    control = control_of(table, setting.arms[0], against)
    reference = None if control is None else values.get((control.name, metric))
    found: dict[tuple[str, str], PairedDifference] = {}
    for arm in setting.arms:
        mine = values.get((arm.name, metric))
        is_compared = arm != control and (against == "base" or arm.method != "base")
        if mine is not None and reference is not None and is_compared:
            found[arm.name, metric] = paired_difference(*paired_by_seed(mine, reference))
    return dict(zip(found, correct(list(found.values())), strict=True))


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
