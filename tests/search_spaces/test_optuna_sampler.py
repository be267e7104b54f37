"""Spaces in Optuna's words."""

from __future__ import annotations

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search_spaces import (
    CategoricalDimension,
    FloatDimension,
    IntDimension,
    Saltelli,
    Sobol,
    Space,
    design_points,
)
from search_spaces.optuna_sampler import (
    DesignSampler,
    fixed_distributions,
    make_sampler,
    suggest_params,
)
from tests.search_spaces.rules import VARIANTS

SAMPLERS = ("tpe", "random")
DIMENSIONS = {
    "top_k": IntDimension(low=1, high=10),
    "alpha": FloatDimension(low=0.1, high=2.0),
    "split": CategoricalDimension(choices=(0.25, 0.5)),
}
SPACE = Space(dimensions=DIMENSIONS, fixed={})


@pytest.fixture(autouse=True, scope="module")
def quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def asked(name: str, seed: int, trials: int = 8) -> list[dict[str, object]]:
    """Ask and tell; a higher ``alpha`` is better."""
    study = optuna.create_study(sampler=make_sampler(name, seed, 3), direction="maximize")
    found = []
    for _ in range(trials):
        trial = study.ask()
        suggest_params(trial, SPACE)
        study.tell(trial, trial.params["alpha"])
        found.append(trial.params)
    return found


def test_each_axis_has_its_distribution():
    dimensions = {
        **DIMENSIONS,
        "beta": FloatDimension(low=0.1, high=1.0, log=True),
        "n_features": IntDimension(low=1, high=784, log=True),
    }
    trial = optuna.create_study().ask()
    suggest_params(trial, Space(dimensions=dimensions, fixed={}))
    assert trial.distributions == {
        "top_k": IntDistribution(1, 10),
        "alpha": FloatDistribution(0.1, 2.0),
        "split": CategoricalDistribution((0.25, 0.5)),
        "beta": FloatDistribution(0.1, 1.0, log=True),
        "n_features": IntDistribution(1, 784, log=True),
    }


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_proposed_point_lies_on_its_axes(name):
    for params in asked(name, 0, 12):
        assert params.keys() == DIMENSIONS.keys()
        assert all(value in DIMENSIONS[dimension] for dimension, value in params.items())


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_proposes_the_same_under_the_same_seed_and_other_points_under_another(name):
    assert asked(name, 7) == asked(name, 7)
    assert asked(name, 7) != asked(name, 8)


def test_tpe_learns_after_its_startup_trials_and_the_random_sampler_does_not():
    """Where a larger ``alpha`` is better, TPE ends higher than it began; random draws do not."""

    def gain(name: str) -> float:
        runs = [[p["alpha"] for p in asked(name, seed, 20)] for seed in range(6)]
        late = [sum(run[12:]) / 8 for run in runs]
        early = [sum(run[:3]) / 3 for run in runs]
        return (sum(late) - sum(early)) / len(runs)

    assert gain("tpe") > 0.4
    assert gain("random") < 0.25


VALUES = st.one_of(
    st.integers(-(10**6), 10**6),
    st.floats(-1e6, 1e6, allow_nan=False),
    st.sampled_from(["topk", "target"]),
    st.booleans(),
)


@given(params=st.dictionaries(st.sampled_from("abcd"), VALUES), name=st.sampled_from(SAMPLERS))
def test_asking_for_one_point_gives_exactly_it_whatever_the_sampler(params, name):
    study = optuna.create_study(sampler=make_sampler(name, 0, 1))
    found = study.ask(fixed_distributions(params, {})).params
    assert found == params
    assert {key: type(value) for key, value in found.items()} == {
        key: type(value) for key, value in params.items()
    }


@pytest.mark.parametrize("name", SAMPLERS)
def test_points_after_each_other_in_one_study_stay_exact(name):
    study = optuna.create_study(sampler=make_sampler(name, 0, 1))
    for value in (1, 10, 3):
        trial = study.ask(fixed_distributions({"top_k": value, "alpha": value / 10}, DIMENSIONS))
        assert trial.params == {"top_k": value, "alpha": value / 10}
        study.tell(trial, float(value))


def test_points_with_different_choices_share_a_study():
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage)
    for split in (0.5, 0.25, 0.5):
        params = {"split": split}
        study.add_trial(
            optuna.trial.create_trial(
                params=params, distributions=fixed_distributions(params, DIMENSIONS), value=0.0
            )
        )
    assert [trial.params["split"] for trial in study.trials] == [0.5, 0.25, 0.5]


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_choice_opens_its_own_dimensions_alone(name):
    study = optuna.create_study(sampler=make_sampler(name, 0, 3), direction="maximize")
    seen = set()
    for _ in range(20):
        trial = study.ask()
        suggest_params(trial, VARIANTS)
        variant = trial.params["variant"]
        seen.add(variant)
        own = "mix" if variant == "pixel" else "max_area"
        assert set(trial.params) == {"variant", own}
        study.tell(trial, trial.params[own])
    assert seen == {"pixel", "block"}


def test_a_trial_that_was_asked_for_in_part_gets_the_rest():
    study = optuna.create_study(sampler=make_sampler("tpe", 0, 3))
    trial = study.ask()
    trial.suggest_categorical("variant", ("pixel", "block"))
    variant = trial.params["variant"]
    suggest_params(trial, VARIANTS)
    assert trial.params["variant"] == variant
    assert len(trial.params) == 2


DESIGNED = [
    pytest.param(design, space, id=f"{design.name} {label}")
    for design, space, label in (
        (Sobol(), SPACE, "open"),
        (Sobol(), VARIANTS, "with conditions"),
        (Saltelli(second_order=True), SPACE, "of second order"),
    )
]


@pytest.mark.parametrize(("design", "space"), DESIGNED)
def test_a_design_gives_each_trial_the_point_of_its_number(design, space):
    study = optuna.create_study()
    expected = design_points(design, space, 5, 24)
    for number in range(24):
        # A new sampler for each trial, as the trial store makes it.
        study.sampler = DesignSampler(design, space, 5)
        trial = study.ask()
        suggest_params(trial, space)
        assert trial.params == expected[number]
        assert {n: type(v) for n, v in trial.params.items()} == {
            n: type(v) for n, v in expected[number].items()
        }
        # Whatever becomes of the trials before.
        if number % 3:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
    assert [trial.params for trial in study.trials] == list(expected)


def test_the_trials_of_a_design_have_the_distributions_of_the_axes():
    studies = [optuna.create_study(sampler=s) for s in (DesignSampler(Sobol(), SPACE, 0), None)]
    trials = [study.ask() for study in studies]
    for trial in trials:
        suggest_params(trial, SPACE)
    assert trials[0].distributions == trials[1].distributions
    assert trials[0].distributions.keys() == DIMENSIONS.keys()


@pytest.mark.parametrize("known", range(4))
def test_a_trial_of_a_design_that_was_asked_for_in_part_gets_the_rest_of_its_point(known):
    study = optuna.create_study(sampler=DesignSampler(Sobol(), SPACE, 0))
    study.ask()
    half = study.ask()
    begun = dict(list(DIMENSIONS.items())[:known])
    suggest_params(half, Space(dimensions=begun, fixed={}))
    again = optuna.Trial(study, half._trial_id)
    study.sampler = DesignSampler(Sobol(), SPACE, 0)
    suggest_params(again, SPACE)
    assert again.params == design_points(Sobol(), SPACE, 0, 2)[1]


def test_a_dimension_that_a_design_does_not_have_is_a_bug_of_ours():
    trial = optuna.create_study(sampler=DesignSampler(Sobol(), SPACE, 0)).ask()
    with pytest.raises(AssertionError, match="trial 0 of a design has no beta"):
        trial.suggest_float("beta", 0.0, 1.0)
