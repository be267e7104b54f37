"""Permutation tests within blocks, and the effect of a swept dimension."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from study.sensitivity import sweep_curve, sweep_effect
from study.sensitivity.permutation_tests import block_test
from tests.support.trial_tables import constant_table


def by_hand(values: np.ndarray) -> float:
    """Try every order of every block."""
    orders = [list(itertools.permutations(block)) for block in values.T]
    spreads = [np.var(np.mean(np.array(one), axis=0)) for one in itertools.product(*orders)]
    seen = np.var(values.mean(axis=1))
    return float(np.mean([spread >= seen - 1e-12 for spread in spreads]))


@pytest.mark.parametrize("shape", [(2, 5), (3, 3), (4, 2)])
def test_a_small_table_is_tried_in_every_order(shape):
    values = np.random.default_rng(1).normal(size=shape)
    assert block_test(values) == pytest.approx(by_hand(values), abs=1e-12)


def test_a_large_table_is_tried_at_random_but_always_the_same_way():
    values = np.random.default_rng(2).normal(size=(6, 8))
    assert block_test(values, "accuracy") == block_test(values, "accuracy")
    assert block_test(values, "accuracy") == pytest.approx(block_test(values, "auc"), abs=0.03)


def test_values_that_are_all_alike_show_nothing():
    assert block_test(np.tile([0.1, 0.2, 0.3], (4, 1))) == 1.0
    assert block_test(np.tile([0.1, 0.2, 0.3], (4, 1)) + 1e-17) == 1.0


def test_differences_between_blocks_do_not_count():
    values = np.random.default_rng(3).normal(size=(3, 4))
    assert block_test(values + np.array([0.0, 10.0, -50.0, 3.0])) == block_test(values)


def test_on_ranks_it_is_friedmans_test():
    ranks = np.array([[1, 1, 2, 1, 1], [2, 3, 1, 2, 3], [3, 2, 3, 3, 2]], dtype=float)
    asymptotic = stats.friedmanchisquare(*ranks).pvalue
    assert block_test(ranks) == pytest.approx(asymptotic, abs=0.05)


def test_the_error_rate_without_effects_is_the_nominal_one():
    rng = np.random.default_rng(4)
    blocks = rng.normal(size=5)
    found = [block_test(rng.normal(size=(4, 5)) + blocks, str(i)) for i in range(300)]
    wrong = sum(p < 0.05 for p in found)
    assert stats.binomtest(wrong, 300, 0.05).pvalue > 0.01
    assert math.isclose(float(np.mean(found)), 0.5, abs_tol=0.06)


def effect(values):
    curve = sweep_curve(
        constant_table({"challenger": values}), "challenger", "top_k", "test/accuracy"
    )
    return sweep_effect(curve)


def test_a_value_that_shifts_every_seed_alike_explains_everything():
    found = effect({1: (0.1, 0.2, 0.3), 2: (0.2, 0.3, 0.4), 3: (0.3, 0.4, 0.5)})
    assert found.share == pytest.approx(1.0)
    assert found.p_value == pytest.approx(1 / 36)
    assert found.p_value == pytest.approx(found.min_p_value)


def test_a_value_that_changes_nothing_explains_nothing():
    found = effect({1: (0.1, 0.2, 0.3), 2: (0.1, 0.2, 0.3)})
    assert (found.share, found.p_value) == (0.0, 1.0)
    assert (found.values, found.n) == (2, 3)


def test_by_chance_the_share_is_one_over_the_number_of_seeds():
    rng = np.random.default_rng(0)
    found = [
        effect({k: tuple(rng.normal(size=5) + np.arange(5)) for k in range(1, 5)})
        for _ in range(200)
    ]
    assert np.mean([one.share for one in found]) == pytest.approx(0.2, abs=0.02)
    assert found[0].expected_share == 0.2
