"""Promises that every named space keeps."""

from __future__ import annotations

import dataclasses

import pytest

from search_spaces import (
    SPACES,
    CategoricalDimension,
    FloatDimension,
    IntDimension,
    Limits,
    resolve,
)
from search_spaces.optuna_space import distributions
from trainables.datasets import DATASETS
from trainables.methods import METHODS

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
    assert set(distributions(space.dimensions)) == set(named.searched)


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_both_ends_of_every_axis_are_accepted_by_the_method_itself(name, dataset):
    info = DATASETS[dataset]().info
    limits = Limits(dataset=dataset, n_classes=info.n_classes, n_features=info.n_features)
    for dimension, rule in SPACES[name].rules(limits).items():
        for end in ends(rule.dimension({})):
            METHODS[name](**{dimension: end}).check(info)


def test_the_control_searches_what_challenger_searches_but_the_rank():
    assert SPACES["challenger"].searched == ("top_k", *SPACES["random"].searched)
    for limits in LIMITS:
        control = SPACES["random"].rules(limits)
        challenger = SPACES["challenger"].rules(limits)
        assert {key: rule for key, rule in challenger.items() if key != "top_k"} == control
