"""Intervals over test samples, averaged over the replicas."""

from __future__ import annotations

from dataclasses import replace

import pytest

from study.errors import ReportError
from study.sensitivity import (
    ArmSampleIntervals,
    SampleInterval,
    sample_intervals,
    settings,
)
from study.trial_table import TrialTable
from tests.study.factories import hand_made, with_final_metrics, with_row

METRICS = {
    "test/auc": (0.9, 0.8),
    "test/auc_classes": (9.0, 8.0),
    "test_bootstrap/accuracy/low": (0.30, 0.40),
    "test_bootstrap/accuracy/high": (0.50, 0.70),
    "test_bootstrap/auc/low": (0.85, 0.75),
    "test_bootstrap/auc/high": (0.95, 0.87),
    "test_bootstrap/draws": (1000.0, 998.0),
}


def sampled() -> TrialTable:
    table = hand_made({"base": {0: (0.4, 0.5)}, "challenger": {5: (0.7, 0.72)}})
    return with_final_metrics(table, "challenger", METRICS)


def intervals_of(table: TrialTable) -> tuple[ArmSampleIntervals, ...]:
    return sample_intervals(table, settings(table)[0])


def test_only_arms_that_have_them_are_given_with_the_fewest_draws_and_most_classes_left_out():
    (found,) = intervals_of(sampled())
    assert (found.arm, found.method, found.n) == ("challenger", "challenger", 2)
    assert (found.draws, found.n_classes, found.classes_left_out) == (998, 10, 2)


def test_points_and_ends_are_means_over_the_replicas():
    (found,) = intervals_of(sampled())
    accuracy, auc = found.intervals
    assert accuracy == SampleInterval(
        metric="test/accuracy",
        mean=pytest.approx(0.71),
        low=pytest.approx(0.35),
        high=pytest.approx(0.6),
    )
    assert auc == SampleInterval(
        metric="test/auc",
        mean=pytest.approx(0.85),
        low=pytest.approx(0.8),
        high=pytest.approx(0.91),
    )


def test_a_trial_that_is_not_complete_has_none():
    table = sampled()
    running = replace(table.select("challenger", "final")[0], state="RUNNING")
    assert intervals_of(with_row(table, running)) == ()


def test_an_incomplete_result_is_named():
    table = sampled()
    row = table.select("challenger", "final")[0]
    metrics = dict(row.reports[0].metrics)
    del metrics["test_bootstrap/auc/high"]
    broken = replace(row, reports=(replace(row.reports[0], metrics=metrics),))
    with pytest.raises(ReportError) as caught:
        intervals_of(with_row(table, broken))
    assert str(caught.value) == (
        "final trial 0 of arm 'challenger' must report test_bootstrap/auc/high, but has none at "
        "any epoch; name another metric or resume the study."
    )
