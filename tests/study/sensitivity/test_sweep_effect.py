from __future__ import annotations

import numpy as np
import pytest

from study.sensitivity import over_dimension, sweep_effect
from tests.study.factories import hand_made


def effect(values):
    curve = over_dimension(
        hand_made({"challenger": values}), "challenger", "top_k", "test/accuracy"
    )
    return sweep_effect(curve)


def test_a_value_that_shifts_every_seed_alike_explains_everything():
    found = effect({1: (0.1, 0.2, 0.3), 2: (0.2, 0.3, 0.4), 3: (0.3, 0.4, 0.5)})
    assert found.share == pytest.approx(1.0)
    assert found.p_value == pytest.approx(1 / 36)
    assert found.p_value == pytest.approx(found.least_p)


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
    assert found[0].by_chance == 0.2
