"""Intervals and tests against closed forms, scipy and simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from study.records.errors import ReportError
from study.sensitivity import Interval, holm, paired_difference, t_interval
from study.sensitivity.intervals import correct_family

VALUES = (0.61, 0.58, 0.66, 0.63, 0.6)
OTHERS = (0.5, 0.49, 0.52, 0.55, 0.47)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_the_t_interval_is_scipys(confidence: float):
    low, high = stats.t.interval(
        confidence, len(VALUES) - 1, loc=np.mean(VALUES), scale=stats.sem(VALUES)
    )
    interval = t_interval(VALUES, confidence)
    assert interval.mean == pytest.approx(np.mean(VALUES))
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert interval.n == 5
    assert interval.width == pytest.approx(high - low)


def test_the_t_interval_of_two_values_is_the_closed_form():
    interval = t_interval((0.0, 2.0))
    half = math.tan(math.pi * 0.475)  # t with 1 degree of freedom is Cauchy; s/√n = 1
    assert interval.mean == 1.0
    assert (interval.low, interval.high) == pytest.approx((1 - half, 1 + half))


def test_equal_values_have_an_interval_without_width():
    assert t_interval((0.1, 0.1, 0.1)) == Interval(
        mean=pytest.approx(0.1), low=pytest.approx(0.1), high=pytest.approx(0.1), n=3
    )


def test_an_end_of_an_interval_is_not_excluded():
    interval = Interval(mean=1.0, low=0.0, high=2.0, n=3)
    assert not interval.excludes(0.0)
    assert interval.excludes(-0.001)
    assert interval.excludes(2.001)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0.5,), "at least 2 replicas, but there is only 1; set 'replicas.final' to 2 or more"),
        ((0.5, math.nan), r"needs finite values, but the replicas gave \[0.5, nan\]; look at the"),
    ],
)
def test_too_few_values_and_values_that_are_not_finite_are_refused(values, message):
    with pytest.raises(ReportError, match=message):
        t_interval(values)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_the_t_interval_covers_the_mean_in_95_of_100_studies(n: int):
    rng = np.random.default_rng(n)
    covered = sum(
        not t_interval([float(x) for x in rng.normal(0.7, 0.03, n)]).excludes(0.7)
        for _ in range(2000)
    )
    assert 0.935 < covered / 2000 < 0.965


def test_the_paired_difference_is_scipys_paired_t_test():
    expected = stats.ttest_rel(VALUES, OTHERS)
    found = paired_difference(VALUES, OTHERS)
    ends = expected.confidence_interval(0.95)
    differences = np.subtract(VALUES, OTHERS)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.interval.low, found.interval.high) == pytest.approx((ends.low, ends.high))
    assert found.interval.mean == pytest.approx(differences.mean())
    assert found.effect_size == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert found.n == 5


def test_swapping_the_sides_changes_only_the_sign():
    there, back = paired_difference(VALUES, OTHERS), paired_difference(OTHERS, VALUES)
    assert back.interval.mean == pytest.approx(-there.interval.mean)
    assert back.interval.low == pytest.approx(-there.interval.high)
    assert back.p_value == pytest.approx(there.p_value)
    assert back.effect_size == pytest.approx(-there.effect_size)


def test_no_difference_at_all_has_p_1():
    found = paired_difference(VALUES, VALUES)
    assert (found.p_value, found.effect_size) == (1.0, 0.0)
    assert (found.interval.low, found.interval.high) == (0.0, 0.0)


def test_the_same_difference_everywhere_is_judged_by_its_signs_alone():
    # 0.1 is not exact in binary: the differences are equal up to rounding only.
    found = paired_difference((0.3, 0.5, 0.8), (0.4, 0.6, 0.9))
    assert found.p_value == 0.25
    assert found.effect_size == -math.inf
    assert (found.interval.low, found.interval.high) == pytest.approx((-0.1, -0.1))


def test_sides_of_different_length_are_refused():
    with pytest.raises(ReportError, match="they hold 2 and 3; compare trials with the same"):
        paired_difference((1.0, 2.0), (1.0, 2.0, 3.0))


def test_holm_adjusts_as_by_hand():
    # Sorted: 0.005·4 = 0.02, 0.01·3 = 0.03, 0.03·2 = 0.06, 0.04·1 = 0.04 → 0.06 (monotone).
    assert holm((0.01, 0.04, 0.03, 0.005)) == pytest.approx((0.03, 0.06, 0.06, 0.02))


def test_holm_never_exceeds_1_and_leaves_one_value_alone():
    assert holm((0.9, 0.8)) == (1.0, 1.0)
    assert holm((0.04,)) == (0.04,)
    assert holm(()) == ()


def test_a_difference_is_shown_only_if_its_corrected_p_is_small_too():
    real = paired_difference((0.1, 0.2, 0.15, 0.1), (0.0, 0.15, 0.05, 0.03))
    assert real.interval.excludes(0.0)
    assert correct_family({0: real})[0].is_significant
    crowded = correct_family(dict.fromkeys(range(40), real))[0]
    assert (crowded.family, crowded.p_holm) == (40, min(1.0, 40 * real.p_value))
    assert not crowded.is_significant


def test_the_paired_test_is_wrong_in_about_5_of_100_studies_without_effect():
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(1000):
        seeds = rng.normal(0, 0.05, 5)
        a, b = (seeds + rng.normal(0, 0.02, 5) for _ in range(2))
        wrong += paired_difference(a.tolist(), b.tolist()).p_value < 0.05
    assert stats.binomtest(wrong, 1000, 0.05).pvalue > 0.01
