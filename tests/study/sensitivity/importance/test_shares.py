"""Bootstrap of trials and permutation of values."""

import numpy as np
import pytest

from study.sensitivity.importance.shares import (
    bootstrap,
    chance_level,
    percentile_interval,
    permutation_p_values,
    permutations,
)
from tests.support import search_designs
from tests.support.search_designs import UNIT, additive, design_table, search_data_of


def test_trials_are_drawn_with_replacement():
    data = search_data_of(design_table(additive, axes=UNIT, trials=50))
    first, second = bootstrap(data, 2, "test")
    assert len(first) == 50
    assert len(set(first)) < 50
    assert first.tolist() != second.tolist()


def test_blocks_are_drawn_whole():
    design, trials = search_designs.saltelli(8, 5)
    data = search_data_of(design_table(additive, axes=UNIT, design=design, trials=trials))
    for places in bootstrap(data, 3, "test"):
        rows = places.reshape(8, 7)
        assert (rows % 7 == np.arange(7)).all()
        assert (rows // 7 == rows[:, :1] // 7).all()


def test_permutations_hold_the_same_values_in_another_order():
    data = search_data_of(design_table(additive, axes=UNIT, trials=50))
    first, second = permutations(data, 2, "test")
    assert sorted(first) == sorted(second) == sorted(data.y)
    assert first.tolist() != second.tolist()


@pytest.mark.parametrize("draws", [19, 39, 99, 100, 999])
def test_a_share_is_above_the_level_where_its_p_value_is_at_most_5_percent(draws):
    largest = np.random.default_rng(draws).random(draws)
    level = chance_level(largest)
    values = np.sort(np.concatenate((largest, largest + 1e-9, largest - 1e-9)))
    p_values = np.array(permutation_p_values(values, largest))
    assert ((values > level) == (p_values <= 0.05 + 1e-12)).all()


def test_a_p_value_is_never_0():
    assert permutation_p_values(np.array([9.0, 0.5]), np.array([1.0, 0.1, 0.2])) == [0.25, 0.5]


def test_an_interval_is_widened_where_it_does_not_hold_its_value():
    low, high = percentile_interval(np.array([0.0, 5.0]), np.array([[1.0, 1.0], [2.0, 2.0]]))
    assert low[0] == 0.0
    assert high[1] == 5.0
    assert high[0] == pytest.approx(1.975)
