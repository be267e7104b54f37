"""Which swept values may be the best, and how much each may lose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from study.sensitivity import best_set, sweep_curve
from study.sensitivity.best_set import intervals_to_best
from tests.support.trial_tables import constant_table

SD = np.array([0.5, 1.0, 1.5, 2.0, 1.0, 0.7])


def drawn(seed: int, means: np.ndarray, sd: np.ndarray, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return means[:, None] + 1.5 * rng.normal(size=n) + sd[:, None] * rng.normal(size=(len(sd), n))


def test_two_levels_have_the_one_sided_paired_intervals():
    values = drawn(1, np.array([0.0, 2.0]), SD[:2], 8)
    found = intervals_to_best(values)
    difference = values[0] - values[1]
    reach = stats.t.ppf(0.95, 7) * difference.std(ddof=1) / np.sqrt(8)
    assert found.low[0] == pytest.approx(difference.mean() - reach)
    assert found.high[1] == pytest.approx(reach - difference.mean())
    assert found.may_be_best.tolist() == [False, True]
    assert (found.high[0], found.low[1]) == (0.0, 0.0)


def test_equal_levels_may_all_be_the_best():
    found = intervals_to_best(np.tile([0.1, 0.4, 0.2], (4, 1)))
    assert found.may_be_best.all()
    assert not found.low.any()
    assert not found.high.any()


@pytest.mark.parametrize("shape", [(1, 5), (3, 1)])
def test_one_level_or_one_block_is_refused(shape):
    with pytest.raises(ValueError, match="at least 2 levels and 2 blocks"):
        intervals_to_best(np.zeros(shape))


@pytest.mark.parametrize("means", [np.zeros(6), np.linspace(0, 1, 6), np.eye(6)[5]])
@pytest.mark.parametrize("sd", [np.ones(6), SD])
@pytest.mark.parametrize("n", [5, 10])
def test_all_intervals_hold_together_and_the_best_is_in_the_set(means, sd, n):
    others = np.array([np.delete(means, i).max() for i in range(6)])
    holds = best = 0
    for seed in range(300):
        found = intervals_to_best(drawn(seed, means, sd, n))
        truth = means - others
        holds += bool(((found.low <= truth) & (truth <= found.high)).all())
        best += bool(found.may_be_best[means.argmax()])
    # At least 95 %: fewer than 90 % of 300 would come once in 10,000 times.
    assert min(holds, best) / 300 >= 0.9


def test_with_more_seeds_a_worse_value_leaves_the_set():
    means = np.array([0.0, 1.0, 1.0])
    assert intervals_to_best(drawn(3, means, SD[:3], 100)).may_be_best.tolist() == [
        False,
        True,
        True,
    ]


def test_the_set_of_a_sweep_is_in_its_metrics_unit_and_direction():
    table = constant_table(
        {
            "base": {0: (0.5, 0.51, 0.5)},
            "challenger": {1: (0.9, 0.91, 0.92), 2: (0.5, 0.51, 0.52), 3: (0.9, 0.92, 0.91)},
        }
    )
    found = best_set(sweep_curve(table, "challenger", "top_k", "test/accuracy"))
    assert found.best == (1, 3)
    assert [one.worse > 0.38 for one in found.values] == [False, True, False]
    assert 0 < found.margin < 0.05
    assert [row["may_be_best"] for row in found.frame_rows()] == [True, False, True]
    curve = sweep_curve(table, "challenger", "top_k", "test/accuracy")
    assert best_set(replace(curve, direction="minimize")).best == (2,)
