"""Indices from given data: SALib's own numbers, closed forms and the level of chance."""

import warnings

import numpy as np
import pytest
from SALib.analyze import delta
from scipy import stats

from search_spaces import CategoricalDimension, FloatDimension
from study.sensitivity.importance import given_data, importance
from study.sensitivity.importance.given_data import bin_edges, numpy_seeded
from tests.support.search_designs import (
    ADDITIVE,
    ISHIGAMI_AXES,
    ISHIGAMI_FIRST,
    SOBOL,
    UNIT,
    additive,
    constant_surface,
    design_table,
    ishigami,
    search_data_of,
)


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(given_data, "FIRST_ORDER_RESAMPLES", 20)
    monkeypatch.setattr(given_data, "FIRST_ORDER_PERMUTATIONS", 99)
    monkeypatch.setattr(given_data, "DELTA_RESAMPLES", 5)
    monkeypatch.setattr(given_data, "DELTA_PERMUTATIONS", 39)


def values(record) -> list[float]:
    return [record.get(name).value for name in record.data.dimensions]


def salibs(data, method: str, monkeypatch) -> dict:
    """Ask SALib's analyze, with the trials themselves in the place of its one resample."""
    # Its analyze replaces the format of all warnings.
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    monkeypatch.setattr(np.random, "randint", lambda _, size: np.arange(size))
    problem = {"num_vars": len(data.axes), "names": list(data.dimensions)}
    with warnings.catch_warnings(record=True):
        return delta.analyze(problem, data.x, data.y, num_resamples=3, method=method, seed=1)


def test_first_order_is_salibs(monkeypatch):
    data = search_data_of(design_table(additive, axes=UNIT, trials=150, noise=0.3))
    found = values(importance(data, "given_first"))
    assert found == pytest.approx(salibs(data, "sobol", monkeypatch)["S1"].tolist())


def test_delta_is_salibs_before_its_resamples(monkeypatch):
    data = search_data_of(design_table(additive, axes=UNIT, trials=120, noise=0.3))
    found = values(importance(data, "given_delta"))
    # With the trials themselves as every resample, 2·δ - δ is δ.
    assert found == pytest.approx(salibs(data, "delta", monkeypatch)["delta_raw"].tolist())


def test_the_interval_of_first_order_is_salibs():
    data = search_data_of(design_table(additive, axes=UNIT, trials=100, noise=0.3))
    found = importance(data, "given_first").get("a")
    edges = bin_edges(FloatDimension(low=0, high=1), data.x[:, 0])
    spread = [
        delta.sobol_first_conf(data.y, data.x[:, 0], edges, 200, 0.95, 100) for _ in range(3)
    ]
    assert found.high - found.value == pytest.approx(np.mean(spread), rel=0.5)
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_an_additive_metric_gives_the_closed_form_within_5_points():
    data = search_data_of(design_table(additive, axes=UNIT, trials=1024, design=SOBOL))
    assert values(importance(data, "given_first")) == pytest.approx(ADDITIVE.tolist(), abs=0.05)


def test_ishigamis_function_is_understated_where_classes_hide_its_waves():
    data = search_data_of(design_table(ishigami, axes=ISHIGAMI_AXES, trials=4096, design=SOBOL))
    found = values(importance(data, "given_first"))
    assert found == pytest.approx(ISHIGAMI_FIRST, abs=0.05)
    assert found[1] < ISHIGAMI_FIRST[1]


def test_classes_of_choices_are_the_choices():
    axis, x = CategoricalDimension(choices=("a", "b", "c")), np.array([0.0, 2, 1, 0, 0, 2])
    assert bin_edges(axis, x).tolist() == [0, 3, 4, 6]


def test_a_choice_that_decides_explains_all_of_the_variance():
    axes = {**UNIT, "attribution": CategoricalDimension(choices=("lrp", "gradient", "random"))}
    data = search_data_of(
        design_table(
            lambda x: np.array([0.0, 1.0, 0.2])[x[:, 5].astype(int)], axes=axes, trials=80
        )
    )
    found = importance(data, "given_first")
    assert found.get("attribution").value == pytest.approx(1.0)
    assert [share.dimension for share in found.shares if share.is_significant] == ["attribution"]


def test_a_dimension_of_one_value_explains_nothing():
    axes = {**UNIT, "f": FloatDimension(low=0.5, high=0.5)}
    data = search_data_of(design_table(additive_of_five, axes=axes, trials=60))
    for name in ("given_first", "given_delta"):
        share = importance(data, name).get("f")
        assert (share.value, share.low, share.high, share.is_significant) == (0.0, 0.0, 0.0, False)


def additive_of_five(x: np.ndarray) -> np.ndarray:
    return additive(x[:, :5])


def test_numpys_global_randomness_is_left_as_it_was_after_an_error_too():
    data = search_data_of(design_table(additive, axes=UNIT, trials=60, noise=0.3))
    np.random.seed(7)
    expected = np.random.random(3).tolist()
    np.random.seed(7)
    importance(data, "given_first")
    importance(data, "given_delta")
    with pytest.raises(ZeroDivisionError), numpy_seeded(1):
        np.random.random(1 // 0)
    assert np.random.random(3).tolist() == expected


def test_p_values_of_noise_alone_are_uniform(monkeypatch):
    monkeypatch.setattr(given_data, "FIRST_ORDER_RESAMPLES", 2)
    p_values = []
    for seed in range(100):
        data = search_data_of(
            design_table(constant_surface, axes=UNIT, trials=60, noise=0.3, seed=seed)
        )
        p_values.append(min(share.p_value for share in importance(data, "given_first").shares))
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    wrong = sum(p <= 0.05 for p in p_values)
    assert stats.binomtest(wrong, len(p_values), 0.05).pvalue > 0.01
