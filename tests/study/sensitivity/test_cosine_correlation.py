from __future__ import annotations

import statistics
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from study.records.errors import ReportError
from study.records.trial_table import TrialTable
from study.sensitivity import cosine_and_accuracy, workloads
from tests.support.trial_tables import constant_table, final_row, make_trial_table

TABLE = make_trial_table()
(SETTING,) = workloads(TABLE)


def two_arms() -> TrialTable:
    """Make two arms that are each rising, one of them lower and further to the right."""
    table = constant_table(
        {"random": {0: (0.5, 0.5)}, "challenger": {1: (0.5, 0.5), 2: (0.5, 0.5)}}
    )
    rows = []
    for arm, shift in (("random", 0.0), ("challenger", 1.0)):
        for i in range(8):
            cosine, accuracy = shift + i / 100, 0.5 - shift / 4 + i / 50
            metrics = {"filter_cosine/mean": (cosine,) * 2, "test/accuracy": (accuracy,) * 2}
            rows.append(final_row(arm, i, {"top_k": i}, metrics))
    return replace(table, rows=tuple(rows))


def test_the_correlation_over_all_trials_is_pearsons():
    found = cosine_and_accuracy(TABLE, SETTING, "final", "test/accuracy")
    points = [point for arm in found.arms for point in arm.points]
    assert len(points) == 12
    expected = stats.pearsonr([p.cosine for p in points], [p.accuracy for p in points])
    assert found.overall is not None
    assert found.overall.r == pytest.approx(expected.statistic)
    z, half = np.arctanh(expected.statistic), 1.959964 / np.sqrt(9)
    assert found.overall.low == pytest.approx(np.tanh(z - half), abs=1e-6)
    assert found.overall.high == pytest.approx(np.tanh(z + half), abs=1e-6)


def test_a_point_is_the_mean_over_the_replicas():
    found = cosine_and_accuracy(TABLE, SETTING, "final", "test/accuracy")
    row = TABLE.select("base", "final")[0]
    assert found.arms[0].points[0].accuracy == statistics.fmean(row.last("test/accuracy") or ())


def test_differences_between_arms_are_not_correlations_within_them():
    table = two_arms()
    found = cosine_and_accuracy(table, workloads(table)[0], "final", "test/accuracy")
    assert found.overall is not None
    assert found.overall.r < -0.8
    for arm in found.arms:
        assert arm.correlation is not None
        assert arm.correlation.r > 0.999


def test_an_arm_of_few_trials_or_without_spread_has_no_correlation_of_its_own():
    found = cosine_and_accuracy(TABLE, SETTING, "final", "test/accuracy")
    assert found.arms[0].correlation is None
    assert found.arms[2].correlation is not None


def test_too_few_trials_are_refused():
    table = constant_table({"base": {0: (0.5, 0.6)}})
    with pytest.raises(ReportError) as caught:
        cosine_and_accuracy(table, workloads(table)[0], "final", "test/accuracy")
    assert "needs at least 6 completed final trials that report both, but there are 0" in str(
        caught.value
    )
