"""What a number of replicas could have shown."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from study.sensitivity import detectable_difference, paired_difference


def difference_of(n: int, sd: float):
    """Return a comparison of n pairs whose differences have this standard deviation."""
    values = np.random.default_rng(0).normal(size=n)
    scaled = (values - values.mean()) / values.std(ddof=1) * sd
    return paired_difference(list(scaled + 1.0), [0.0] * n)


def test_34_pairs_show_half_a_standard_deviation():
    """The textbook's number of pairs for d_z = 0.5 at 5 % and 80 % power is 34."""
    assert (
        detectable_difference(difference_of(33, 1.0))
        > 0.5
        > detectable_difference(difference_of(34, 1.0))
    )


@pytest.mark.parametrize("family", [1, 7])
def test_it_is_shown_in_80_percent_of_simulated_studies(family: int):
    n, sd = 5, 3.0
    shift = detectable_difference(difference_of(n, sd), family=family)
    studies = np.random.default_rng(1).normal(shift, sd, size=(20_000, n))
    p = stats.ttest_1samp(studies, 0.0, axis=1).pvalue
    assert np.mean(p < 0.05 / family) == pytest.approx(0.8, abs=0.01)


def test_equal_differences_have_no_spread_to_estimate_from():
    assert detectable_difference(paired_difference([1.0, 1.0], [0.0, 0.0])) is None
