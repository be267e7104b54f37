"""fANOVA's shares: Optuna's own numbers, closed forms, intervals and chance."""

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from search_spaces import CategoricalDimension, FloatDimension, IntDimension
from study.sensitivity.importance import fanova, importance
from study.sensitivity.importance.fanova import encode_columns, fit_forest, variance_shares
from study.sensitivity.importance.search_data import axis_bounds
from tests.support.search_designs import (
    ADDITIVE,
    ISHIGAMI_AXES,
    ISHIGAMI_FIRST,
    SOBOL,
    UNIT,
    additive,
    design_table,
    ishigami,
    search_data_of,
)

# By name, as Optuna puts them: a forest breaks ties by the order of its columns.
MIXED = {
    "attribution": CategoricalDimension(choices=("lrp", "gradient", "random")),
    "n_features": FloatDimension(low=0.01, high=1.0, log=True),
    "top_k": IntDimension(low=1, high=5),
}


def mixed(x: np.ndarray) -> np.ndarray:
    return 0.2 * x[:, 2] + 0.3 * x[:, 1] + (x[:, 0] == 1) * x[:, 2] * 0.3


def shares_of(data, trees: int, seed: int) -> np.ndarray:
    columns = encode_columns([axis for _, axis in data.axes], data.x)
    return variance_shares(fit_forest(columns.values, data.y, trees, seed), columns)


def by_optuna(data, trees: int, seed: int) -> tuple[dict[str, float], object]:
    """Ask Optuna's evaluator, on the scale on which the design spread its points."""
    distributions = {
        name: CategoricalDistribution(axis.choices)
        if isinstance(axis, CategoricalDimension)
        else FloatDistribution(*axis_bounds(axis))
        for name, axis in data.axes
    }
    study = optuna.create_study()
    for point, value in zip(data.x, data.y, strict=True):
        params = {
            name: axis.choices[int(x)] if isinstance(axis, CategoricalDimension) else float(x)
            for (name, axis), x in zip(data.axes, point, strict=True)
        }
        study.add_trial(
            optuna.trial.create_trial(
                params=params, distributions=distributions, value=float(value)
            )
        )
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=trees, seed=seed)
    return evaluator.evaluate(study), evaluator._evaluator


@pytest.mark.parametrize(("axes", "surface"), [(UNIT, additive), (MIXED, mixed)])
def test_the_shares_are_those_of_optunas_evaluator(axes, surface):
    data = search_data_of(design_table(surface, axes=axes, trials=40, noise=0.05))
    found = shares_of(data, trees=4, seed=3)
    expected, _ = by_optuna(data, trees=4, seed=3)
    assert dict(zip(data.dimensions, np.diagonal(found), strict=True)) == pytest.approx(
        expected, abs=1e-9
    )


def test_the_shares_of_pairs_are_what_optunas_trees_give():
    data = search_data_of(design_table(mixed, axes=MIXED, trials=30, noise=0.05))
    found = shares_of(data, trees=2, seed=1)
    _, forest = by_optuna(data, trees=2, seed=1)
    groups = forest._column_to_encoded_columns
    for i, j in ((0, 1), (0, 2), (1, 2)):
        expected = [
            tree.get_marginal_variance(np.concatenate((groups[i], groups[j])))
            - tree.get_marginal_variance(groups[i])
            - tree.get_marginal_variance(groups[j])
            for tree in forest._trees
        ]
        variances = [tree.variance for tree in forest._trees]
        shares = np.clip(expected, 0, None) / variances
        assert found[i, j] == pytest.approx(shares.mean(), abs=1e-9)
        assert found[i, j] == pytest.approx(found[j, i])


def test_an_additive_metric_gives_the_closed_form_within_8_points():
    data = search_data_of(design_table(additive, axes=UNIT, trials=512, design=SOBOL))
    assert np.diagonal(shares_of(data, 32, 1)) == pytest.approx(ADDITIVE, abs=0.08)


def test_ishigamis_function_gives_the_closed_form_within_13_points():
    data = search_data_of(design_table(ishigami, axes=ISHIGAMI_AXES, trials=1024, design=SOBOL))
    found = shares_of(data, 16, 1)
    assert np.diagonal(found) == pytest.approx(ISHIGAMI_FIRST, abs=0.13)
    assert found[0, 2] == pytest.approx(0.2437, abs=0.10)
    assert found[0, 1] < 0.06
    assert found[1, 2] < 0.06


def test_a_forest_without_variance_has_no_shares():
    columns = encode_columns(list(UNIT.values()), np.random.default_rng(0).random((9, 5)))
    shares = variance_shares(fit_forest(columns.values, np.ones(9), 2, 0), columns)
    assert shares.tolist() == np.zeros((5, 5)).tolist()


def test_a_dimension_of_one_value_has_no_share():
    axes = {**UNIT, "f": FloatDimension(low=0.5, high=0.5)}
    data = search_data_of(design_table(lambda x: x[:, 0], axes=axes, trials=60))
    assert shares_of(data, 4, 0)[5] == pytest.approx(np.zeros(6), abs=1e-12)


@pytest.fixture
def few_draws(monkeypatch):
    monkeypatch.setattr(fanova, "DRAWS", 40)
    monkeypatch.setattr(fanova, "PERMUTATIONS", 39)


@pytest.mark.usefixtures("few_draws")
def test_dimensions_with_an_effect_are_above_chance_and_others_are_not():
    found = importance(
        search_data_of(design_table(additive, axes=UNIT, trials=128, noise=0.3)), "fanova"
    )
    assert [share.dimension for share in found.shares][:2] == ["a", "b"]
    # b explains 28 %, which is about what noise alone gives the luckiest of five dimensions.
    assert found.get("a").is_significant
    assert not any(found.get(name).is_significant for name in "cde")
    assert all(share.low <= share.value <= share.high for share in found.shares)
    top = found.get("a")
    assert top.low < 9 / 14.25 < top.high + 0.1
    assert top.low > found.level > found.get("e").value
    assert found.get("a").p_value == 1 / 40


def test_equal_data_give_equal_numbers_of_the_named_draws_and_trees(monkeypatch):
    monkeypatch.setattr(fanova, "DRAWS", 20)
    monkeypatch.setattr(fanova, "PERMUTATIONS", 19)
    table = design_table(additive, axes=UNIT, trials=50, noise=0.3)
    found = importance(search_data_of(table), "fanova")
    importance.cache_clear()
    fanova.forest_shares.cache_clear()
    assert importance(search_data_of(table), "fanova") == found
    assert found.interval == "percentile bootstrap over trials, 20 draws, 16 trees each"
    assert found.chance == "19 permutations of the values, 16 trees each"
    assert found.notes == (
        "fANOVA: a forest of 64 trees; shares of the variance that it predicts.",
    )
