"""How far test results would move with other test samples: bootstrap intervals of the replicas."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from study.sensitivity.replicas import last_values
from study.sensitivity.settings import Setting
from study.trial_table import ArmRow, TrialRow, TrialTable

BOOTSTRAPPED = ("test/accuracy", "test/auc")
"""Metrics that have intervals over test samples."""

_DRAWS = "test_bootstrap/draws"


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


def sample_intervals(table: TrialTable, setting: Setting) -> tuple[ArmSampleIntervals, ...]:
    """Give the intervals over test samples of the arms that have them.

    Each replica has a percentile interval of its own; its ends are averaged over the replicas.
    Such an interval covers the choice of the test samples, and nothing of what changes with the
    replica's seed.

    Raises:
        ReportError: If a result is incomplete or not finite.
    """
    found = ((arm, table.chosen(arm.name)) for arm in setting.arms)
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
