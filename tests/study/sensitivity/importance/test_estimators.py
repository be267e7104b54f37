"""Trials that the estimators accept, and the messages of the others."""

from dataclasses import replace

import pytest

from search_spaces import CategoricalDimension, Condition
from study.records.errors import ReportError
from study.sensitivity.importance import (
    IMPORTANCES,
    estimators_for,
    fanova,
    given_data,
    importance,
    interactions,
    partial_dependence,
    ped_anova,
)
from tests.support.search_designs import (
    UNIT,
    additive,
    constant_surface,
    design_table,
    search_data_of,
)
from tests.support.trial_tables import with_arm


@pytest.fixture
def conditional():
    axes = {"mix": CategoricalDimension(choices=("on", "off")), **UNIT}
    table = design_table(lambda x: x[:, 1], axes=axes, trials=100)
    condition = {"a": Condition(dimension="mix", value="on")}
    return search_data_of(with_arm(table, replace(table.arm("challenger"), conditions=condition)))


def test_saltellis_blocks_have_sobol_indices_and_all_else_indices_from_given_data():
    assert estimators_for("saltelli") == ("fanova", "ped_anova", "sobol_first", "sobol_total")
    for sampler in ("random", "sobol", "tpe"):
        assert estimators_for(sampler) == ("fanova", "ped_anova", "given_first", "given_delta")


@pytest.mark.parametrize("name", IMPORTANCES)
def test_too_few_trials_are_refused_with_the_number_that_is_needed(name):
    estimator = IMPORTANCES[name]
    data = search_data_of(design_table(additive, axes=UNIT, trials=20))
    if estimator.samplers and "random" not in estimator.samplers:
        data = replace(data, sampler="saltelli", block=7)
    with pytest.raises(ReportError) as caught:
        importance(data, name)
    assert f"needs at least {estimator.min_trials(data)} trials" in str(caught.value)
    assert "but has 20; raise 'search.trials' and resume the study." in str(caught.value)


def test_a_design_that_an_estimator_does_not_take_is_refused():
    with pytest.raises(ReportError) as caught:
        importance(search_data_of(design_table(additive, axes=UNIT, trials=20)), "sobol_first")
    assert str(caught.value) == (
        "arm 'challenger': Sobol, first order needs trials of saltelli, but these are from "
        "random; use one of fanova, ped_anova, given_first, given_delta."
    )


def test_an_unknown_estimator_is_refused_with_the_closest_name():
    data = search_data_of(design_table(additive, axes=UNIT, trials=20))
    with pytest.raises(ReportError, match=r"'fanove' is not an estimator.*did you mean 'fanova'"):
        importance(data, "fanove")
    with pytest.raises(ReportError, match="known: fanova, given_delta, given_first"):
        importance(data, "xyz")


@pytest.mark.parametrize(
    "name",
    [
        n
        for n, e in IMPORTANCES.items()
        if not e.supports_conditions and "saltelli" not in e.samplers
    ],
)
def test_conditional_dimensions_are_refused_where_the_estimator_cannot(name, conditional):
    with pytest.raises(ReportError) as caught:
        importance(conditional, name)
    assert str(caught.value) == (
        f"arm 'challenger': {IMPORTANCES[name].title} needs a value of every dimension in every "
        f"trial, but a has one only where mix is on; fix mix at one value in the study file, or "
        "see PED-ANOVA."
    )


@pytest.mark.parametrize("analysis", [interactions, partial_dependence])
def test_conditional_dimensions_are_refused_by_forests(analysis, conditional):
    with pytest.raises(ReportError, match="but a has one only where mix is on; fix mix at one"):
        analysis(conditional)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", ["fanova", "ped_anova", "given_delta"])
def test_of_noise_alone_no_dimension_is_more_than_chance(name, seed, monkeypatch):
    for module in (fanova, ped_anova):
        monkeypatch.setattr(module, "DRAWS", 20)
        monkeypatch.setattr(module, "PERMUTATIONS", 39)
    monkeypatch.setattr(given_data, "DELTA_RESAMPLES", 5)
    monkeypatch.setattr(given_data, "DELTA_PERMUTATIONS", 39)
    table = design_table(constant_surface, axes=UNIT, trials=80, noise=0.3, seed=seed)
    found = importance(search_data_of(table), name)
    assert not any(share.is_significant for share in found.shares)
    assert found.shares[0].value <= found.level
