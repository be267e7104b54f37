from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.report import Report, mean, std

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=10).map(tuple)


def test_the_mean_does_not_lose_small_values_beside_large_ones():
    assert mean((1e16, 1.0, -1e16)) == pytest.approx(1 / 3)
    assert mean((0.25,)) == 0.25


def test_the_standard_deviation_divides_by_n_minus_1():
    assert std((1.0, 2.0, 3.0, 4.0)) == pytest.approx((5 / 3) ** 0.5)


def test_a_single_replica_has_no_spread():
    assert std((3.0,)) == 0.0


@given(VALUES)
def test_they_agree_with_the_standard_library(values):
    assert mean(values) == pytest.approx(statistics.fmean(values), abs=1e-9)
    assert std(values) == pytest.approx(statistics.stdev(values), abs=1e-9)


def test_a_report_is_frozen():
    report = Report(epoch=1, metrics={"val/accuracy": (0.5,)})
    with pytest.raises(AttributeError):
        report.epoch = 2
