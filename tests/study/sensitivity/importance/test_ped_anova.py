"""PED-ANOVA: Optuna's own numbers, the direction, ties and conditional dimensions."""

from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces import CategoricalDimension, Condition, FloatDimension, IntDimension
from study.sensitivity.importance import importance, ped_anova
from study.sensitivity.importance.ped_anova import top_fraction
from tests.support.search_designs import UNIT, design_table, search_data_of
from tests.support.trial_tables import with_arm

AXES = {
    "top_k": IntDimension(low=1, high=10),
    "n_features": FloatDimension(low=0.01, high=1.0, log=True),
    "attribution": CategoricalDimension(choices=("lrp", "gradient")),
}
DISTRIBUTIONS = {
    "top_k": IntDistribution(1, 10),
    "n_features": FloatDistribution(0.01, 1.0, log=True),
    "attribution": CategoricalDistribution(("lrp", "gradient")),
}


def surface(x: np.ndarray) -> np.ndarray:
    return 0.05 * x[:, 0] + 0.02 * x[:, 1]


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(ped_anova, "DRAWS", 20)
    monkeypatch.setattr(ped_anova, "PERMUTATIONS", 39)


def optunas(table, direction: str, metric: str) -> dict[str, float]:
    study = optuna.create_study(direction=direction)
    for row in table.rows:
        value = float(np.mean(row.last(metric)))
        study.add_trial(
            optuna.trial.create_trial(
                params=dict(row.params), distributions=DISTRIBUTIONS, value=value
            )
        )
    return optuna.importance.PedAnovaImportanceEvaluator().evaluate(study)


@pytest.mark.parametrize(
    ("metric", "direction"), [("val/accuracy", "maximize"), ("filter_cosine/mean", "minimize")]
)
def test_the_shares_are_optunas_over_the_variance_of_being_among_the_best(metric, direction):
    table = design_table(surface, axes=AXES, trials=60, noise=0.1)
    data = search_data_of(table, metric)
    q = top_fraction(data, data.y)
    assert q == 0.1
    found = importance(data, "ped_anova")
    expected = optunas(table, direction, metric)
    assert {s.dimension: s.value * q * (1 - q) for s in found.shares} == pytest.approx(
        expected, rel=1e-6
    )


def test_the_best_follow_the_direction_of_the_study():
    table = design_table(lambda x: (x[:, 0] > 0.8) * 1.0 + 0.1 * x[:, 1], axes=UNIT, trials=100)
    up = importance(search_data_of(table), "ped_anova")
    down = importance(search_data_of(replace(table, direction="minimize")), "ped_anova")
    # Of the top, a is high and b high; of the bottom b is low, a anywhere below 0.8.
    assert up.shares[0].dimension == "a"
    assert down.shares[0].dimension == "b"
    assert down.get("a").value < 0.5 * up.get("a").value


def test_trials_as_good_as_the_last_of_the_best_count_among_them():
    data = search_data_of(design_table(lambda x: np.round(x[:, 0]), axes=UNIT, trials=50))
    share = top_fraction(data, data.y)
    assert share == pytest.approx(data.y.mean())
    assert share > 0.3


def test_a_dimension_that_decides_all_explains_most_of_who_is_best():
    data = search_data_of(design_table(lambda x: x[:, 2], axes=UNIT, trials=200))
    found = importance(data, "ped_anova")
    assert found.shares[0].dimension == "c"
    assert 0.6 < found.shares[0].value <= 1.0
    assert [share.dimension for share in found.shares if share.is_significant] == ["c"]


def test_dimensions_that_a_choice_opens_are_taken():
    axes = {"mix": CategoricalDimension(choices=("on", "off")), **UNIT}
    table = design_table(lambda x: (x[:, 0] == 0) * x[:, 1], axes=axes, trials=120)
    rows = [
        replace(r, params={k: v for k, v in r.params.items() if k != "a"})
        if r.params["mix"] == "off"
        else r
        for r in table.rows
    ]
    arm = replace(
        table.arm("challenger"), conditions={"a": Condition(dimension="mix", value="on")}
    )
    data = search_data_of(with_arm(replace(table, rows=tuple(rows)), arm))
    found = importance(data, "ped_anova")
    assert {share.dimension for share in found.shares[:2]} == {"mix", "a"}
