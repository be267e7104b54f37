"""What a study file says of a space, resolved against what an arm allows."""

from __future__ import annotations

import pytest

from search_spaces import (
    CategoricalDimension,
    Condition,
    FloatDimension,
    IntDimension,
    Space,
    SpaceError,
    check_values,
    resolve,
)
from tests.search_spaces.rules import RULES


def refusal(given: object) -> str:
    with pytest.raises(SpaceError) as caught:
        resolve(RULES, given)
    return str(caught.value)


def test_nothing_given_searches_the_defaults():
    assert resolve(RULES, {}) == Space(
        dimensions={
            "top_k": IntDimension(low=1, high=5),
            "n_features": FloatDimension(low=0.01, high=0.3),
            "alpha": FloatDimension(low=0.1, high=2.0),
            "mix": FloatDimension(low=0.2, high=0.8),
        },
        fixed={},
    )


def test_what_is_held_is_not_searched_by_default():
    assert list(resolve(RULES, {}, ("top_k", "mix")).dimensions) == ["n_features", "alpha"]


def test_dimensions_keep_the_order_of_the_rules_and_openers_come_first():
    space = resolve(RULES, {"lr": {"low": 1, "high": 2}, "variant": {}, "top_k": {"high": 2}})
    assert list(space.dimensions) == ["variant", "top_k", "n_features", "alpha", "mix", "lr"]
    assert space.conditions == {"mix": Condition(dimension="variant", value="pixel")}
    assert space.is_active("mix", {"variant": "pixel"})
    assert not space.is_active("mix", {"variant": "block"})
    assert space.is_active("top_k", {"variant": "block"})


@pytest.mark.parametrize(
    ("name", "entry", "axis"),
    [
        ("top_k", {"high": 3}, IntDimension(low=1, high=3)),
        ("top_k", [1, 3, 5], CategoricalDimension(choices=(1, 3, 5))),
        ("alpha", (1, 2.5), CategoricalDimension(choices=(1.0, 2.5))),
        ("n_features", {"low": 1, "high": 5}, IntDimension(low=1, high=5)),
        ("n_features", [0.1, 0.2], CategoricalDimension(choices=(0.1, 0.2))),
    ],
)
def test_an_entry_is_a_range_or_a_list_of_choices(name, entry, axis):
    found = resolve(RULES, {name: entry}).dimensions[name]
    assert found == axis
    if isinstance(found, CategoricalDimension):
        assert [type(c) for c in found.choices] == [type(c) for c in axis.choices]


@pytest.mark.parametrize(
    ("name", "entry", "value"),
    [("top_k", 3, 3), ("alpha", 1, 1.0), ("n_features", 5, 5), ("n_features", 0.5, 0.5)],
)
def test_one_value_is_held_and_not_searched(name, entry, value):
    space = resolve(RULES, {name: entry})
    assert name not in space.dimensions
    assert space.fixed == {name: value}
    assert type(space.fixed[name]) is type(value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tpo_k": {}}, "tpo_k is not a dimension; did you mean 'top_k'?"),
        (
            {"zzz": 1},
            "zzz is not a dimension; known: top_k, n_features, alpha, variant, mix, lr.",
        ),
        ({"top_k": {"high": 10}}, "top_k.high must be a count of 1 to 5, got 10."),
        ({"top_k": 6}, "top_k: the value must be a count of 1 to 5, got 6."),
        ({"top_k": [1, 6]}, "top_k: each choice must be a count of 1 to 5, got 6."),
        ({"alpha": {"hgih": 1}}, "alpha.hgih is not a setting; did you mean 'high'?"),
        (
            {"alpha": {"\x1b[31m" * 50: 1}},
            "alpha." + r"\x1b[31m" * 16 + " is not a setting; known: low, high, log.",
        ),
        (
            {"alpha": {"choices": [1, 2]}},
            "alpha.choices is not a setting; give the list itself, such as [1, 2, 5].",
        ),
        ({"alpha": {"log": "yes"}}, "alpha.log must be true or false, got 'yes'."),
        ({"alpha": []}, "alpha: choices must hold at least one value, got none."),
        ({"alpha": [1, 1.0]}, "alpha: choices must differ from each other, got [1.0, 1.0]."),
        ({"alpha": list(range(101))}, "alpha: choices must be at most 100, got 101."),
        ({"n_features": [1, 0.3]}, "n_features: choices must be of one kind, got [1, 0.3]."),
    ],
)
def test_what_is_wrong_is_said_with_its_dimension_first(given, message):
    assert refusal(given) == message


def test_values_of_a_sweep_may_leave_the_searched_range_but_not_the_legal_one():
    assert check_values(RULES, "alpha", (5, 10.0)) == (5.0, 10.0)
    for name, values, message in (
        ("top_k", (1, 6), "top_k must be a count of 1 to 5, got 6."),
        ("tpo_k", (), "tpo_k is not a dimension; did you mean 'top_k'?"),
    ):
        with pytest.raises(SpaceError) as caught:
            check_values(RULES, name, values)
        assert str(caught.value) == message
