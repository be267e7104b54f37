"""Promises that every named space keeps."""

from __future__ import annotations

import dataclasses

import optuna
import pytest

from search_spaces import (
    SPACES,
    CategoricalDimension,
    FloatDimension,
    IntDimension,
    Limits,
    resolve,
)
from search_spaces.optuna_sampler import suggest_params
from study.config.arm import dataset_limits
from trainables.attribution import ATTRIBUTIONS
from trainables.datasets import DATASETS
from trainables.decoding import decode
from trainables.errors import ConfigError
from trainables.methods import METHODS

IMAGES_ALONE = ("cutmix", "random_erasing")
LIMITS = [
    Limits(dataset="two classes, one feature", n_classes=2, n_features=1),
    Limits(dataset="digits", n_classes=10, n_features=784),
    Limits(dataset="cifar100", n_classes=100, n_features=3072),
    Limits(dataset="super-diag", n_classes=5, n_features=12_000),
]


@pytest.fixture(params=sorted(SPACES))
def name(request):
    return request.param


@pytest.fixture(params=LIMITS, ids=lambda limits: limits.dataset)
def limits(request):
    return request.param


def ends(axis) -> tuple:
    return axis.choices if isinstance(axis, CategoricalDimension) else (axis.low, axis.high)


def test_every_dimension_is_a_setting_of_the_method_of_that_name(name, limits):
    fields = {field.name for field in dataclasses.fields(METHODS[name])}
    assert set(SPACES[name].rules(limits)) <= fields


def test_what_is_searched_has_a_rule_and_is_named_once(name, limits):
    searched = SPACES[name].searched
    assert set(searched) <= set(SPACES[name].rules(limits))
    assert len(set(searched)) == len(searched) > 0


def test_every_default_axis_lies_within_its_rule(name, limits):
    for dimension, rule in SPACES[name].rules(limits).items():
        axis = rule.dimension({})
        assert isinstance(axis, IntDimension | FloatDimension | CategoricalDimension)
        for end in ends(axis):
            assert rule.check(end, dimension) == end
            assert end in axis


def test_the_default_space_resolves_and_can_be_said_to_optuna(name, limits):
    named = SPACES[name]
    space = resolve(named.rules(limits), {}, named.searched)
    assert set(space.dimensions) == set(named.searched)
    assert not space.fixed
    trial = optuna.create_study().ask()
    suggest_params(trial, space)
    assert set(trial.params) == set(named.searched)


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_both_ends_of_every_axis_are_accepted_by_the_method_itself(name, dataset):
    info = DATASETS[dataset]().info
    if info.domain != "image" and name in IMAGES_ALONE:
        with pytest.raises(ConfigError):
            METHODS[name]().check(info)
        return
    limits = dataset_limits(DATASETS[dataset]())
    for dimension, rule in SPACES[name].rules(limits).items():
        for end in ends(rule.dimension({})):
            decode(METHODS[name], {dimension: end}).check(info)


def test_the_control_searches_what_challenger_searches_but_the_rank():
    assert SPACES["challenger"].searched == ("top_k", *SPACES["random"].searched)
    for limits in LIMITS:
        control = SPACES["random"].rules(limits)
        challenger = SPACES["challenger"].rules(limits)
        assert {key: challenger[key] for key in control} == control
        assert set(challenger) - set(control) == {"top_k", "attribution"}


def test_every_attribution_may_be_chosen():
    limits = dataset_limits(DATASETS["digits"]())
    for name in ("challenger", "reldrop"):
        rule = SPACES[name].rules(limits)["attribution"]
        assert set(rule.dimension({}).choices) == set(ATTRIBUTIONS)


def test_each_condition_is_between_dimensions_and_on_a_choice_that_there_is(name, limits):
    rules = SPACES[name].rules(limits)
    for dimension, condition in SPACES[name].conditions.items():
        assert dimension in rules
        assert condition.value in rules[condition.dimension].dimension({}).choices


def test_each_variant_of_reldrop_opens_its_own_dimensions():
    named = SPACES["reldrop"]
    rules = named.rules(LIMITS[1])
    both = resolve(
        rules, {"max_area": {}, "candidates": {}, "variant": {}}, named.searched, named.conditions
    )
    assert next(iter(both.dimensions)) == "variant"
    opened = {
        variant: {name for name in both.dimensions if both.is_active(name, {"variant": variant})}
        for variant in ("pixel", "block")
    }
    assert opened == {
        "pixel": {"variant", "probability", "mix", "threshold"},
        "block": {"variant", "probability", "max_area", "candidates"},
    }
    one = resolve(rules, {}, named.searched, named.conditions)
    assert one.conditions == {}
