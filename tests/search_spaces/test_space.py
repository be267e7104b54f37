"""What a study file says of a space, resolved against what an arm allows."""

from __future__ import annotations

import pytest

from search_spaces import (
    SPACES,
    CategoricalDimension,
    FloatDimension,
    IntDimension,
    Limits,
    Space,
    SpaceError,
    check_values,
    resolve,
)

LIMITS = Limits(dataset="super-diag", n_classes=5, n_features=12_000)
CHALLENGER = SPACES["challenger"]
RULES = CHALLENGER.rules(LIMITS)


def resolved(given: object, searched: tuple[str, ...] = CHALLENGER.searched) -> Space:
    return resolve(RULES, given, searched)


def refusal(given: object) -> str:
    with pytest.raises(SpaceError) as caught:
        resolved(given)
    return str(caught.value)


def test_nothing_given_searches_the_defaults_within_the_limits_of_the_arm():
    assert resolved({}) == Space(
        dimensions={
            "top_k": IntDimension(low=1, high=5),
            "n_features": FloatDimension(low=0.01, high=0.3),
            "alpha": FloatDimension(low=0.1, high=2.0),
            "beta": FloatDimension(low=0.1, high=2.0),
            "split": FloatDimension(low=0.1, high=0.9),
        },
        fixed={},
    )


def test_dimensions_keep_the_order_of_the_rules_whatever_that_of_the_file():
    space = resolved({"split": {"low": 0.2}, "top_k": {"high": 2}, "a_fraction": {}})
    assert list(space.dimensions) == [
        "top_k",
        "n_features",
        "alpha",
        "beta",
        "split",
        "a_fraction",
    ]


def test_only_what_is_searched_or_given_is_in_the_space():
    space = resolved({"a_fraction": {}, "beta": 1}, searched=("alpha",))
    assert list(space.dimensions) == ["alpha", "a_fraction"]
    assert space.fixed == {"beta": 1.0}


@pytest.mark.parametrize(
    ("name", "entry", "axis"),
    [
        ("top_k", {"high": 3}, IntDimension(low=1, high=3)),
        ("top_k", [1, 3, 5], CategoricalDimension(choices=(1, 3, 5))),
        ("alpha", {"low": 1, "high": 2, "log": True}, FloatDimension(low=1, high=2, log=True)),
        ("alpha", [1, 2.5], CategoricalDimension(choices=(1.0, 2.5))),
        ("alpha", [0.5], CategoricalDimension(choices=(0.5,))),
        ("n_features", {"low": 1, "high": 9}, IntDimension(low=1, high=9)),
        ("n_features", [10, 100], CategoricalDimension(choices=(10, 100))),
        ("n_features", [0.1, 0.2], CategoricalDimension(choices=(0.1, 0.2))),
    ],
)
def test_an_entry_is_a_range_or_a_list_of_choices(name, entry, axis):
    found = resolved({name: entry}).dimensions[name]
    assert found == axis
    if isinstance(found, CategoricalDimension):
        assert [type(c) for c in found.choices] == [type(c) for c in axis.choices]


@pytest.mark.parametrize(
    ("name", "entry", "value"),
    [("top_k", 3, 3), ("alpha", 1, 1.0), ("n_features", 5, 5), ("n_features", 0.5, 0.5)],
)
def test_one_value_is_held_and_not_searched(name, entry, value):
    space = resolved({name: entry})
    assert name not in space.dimensions
    assert space.fixed == {name: value}
    assert type(space.fixed[name]) is type(value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tpo_k": {}}, "tpo_k is not a dimension; did you mean 'top_k'?"),
        (
            {"zzz": 1},
            "zzz is not a dimension; known: top_k, n_features, alpha, beta, split, a_fraction, "
            "attribution.",
        ),
        (
            {"top_k": {"high": 10}},
            "top_k.high is 10, but super-diag has 5 classes; lower it to 5 or less.",
        ),
        (
            {"top_k": 6},
            "top_k: the value is 6, but super-diag has 5 classes; lower it to 5 or less.",
        ),
        (
            {"top_k": [1, 6]},
            "top_k: each choice is 6, but super-diag has 5 classes; lower it to 5 or less.",
        ),
        ({"top_k": {"low": 0}}, "top_k.low must lie in [1, 5], got 0."),
        (
            {"n_features": {"high": 12_001}},
            "n_features.high is 12001, but super-diag has 12000 input features; lower it to "
            "12000 or less.",
        ),
        ({"n_features": {"high": 1.5}}, "n_features.high must lie in (0, 1], got 1.5."),
        ({"n_features": 1.5}, "n_features: the value must lie in (0, 1], got 1.5."),
        (
            {"alpha": {"low": 2, "high": 1}},
            "alpha.low must not exceed high, got low 2.0 and high 1.0; swap them.",
        ),
        ({"split": {"low": 0}}, "split.low must lie in (0, 1), got 0."),
        ({"split": {"high": 1.0}}, "split.high must lie in (0, 1), got 1."),
        ({"split": 1.0}, "split: the value must lie in (0, 1), got 1."),
        ({"alpha": None}, "alpha: the value must be a number, got None."),
        ({"alpha": "0.5"}, "alpha: the value must be a number, got '0.5'."),
        ({"alpha": {"hgih": 1}}, "alpha.hgih is not a setting; did you mean 'high'?"),
        ({"alpha": {"x": 1}}, "alpha.x is not a setting; known: low, high, log."),
        (
            {"alpha": {"choices": [1, 2]}},
            "alpha.choices is not a setting; give the list itself, such as [1, 2, 5].",
        ),
        ({"alpha": {"log": "yes"}}, "alpha.log must be true or false, got 'yes'."),
        ({"alpha": {"log": 1}}, "alpha.log must be true or false, got 1."),
        (
            {"alpha": {"low": 0, "log": True}},
            "alpha.low must be above 0 on a logarithmic scale, got 0.0.",
        ),
        ({"alpha": []}, "alpha: choices must hold at least one value, got none."),
        ({"alpha": [1, 1.0]}, "alpha: choices must differ from each other, got [1.0, 1.0]."),
        ({"n_features": [1, 0.3]}, "n_features: choices must be of one kind, got [1, 0.3]."),
        ({"top_k": [True]}, "top_k: each choice must be an integer, got True."),
    ],
)
def test_what_is_wrong_is_said_with_its_dimension_first(given, message):
    assert refusal(given) == message


def test_values_of_a_sweep_may_leave_the_searched_range_but_not_the_legal_one():
    assert check_values(RULES, "alpha", (5, 10.0)) == (5.0, 10.0)
    assert check_values(RULES, "top_k", (1, 5)) == (1, 5)
    with pytest.raises(SpaceError) as caught:
        check_values(RULES, "top_k", (1, 6))
    assert str(caught.value) == (
        "top_k is 6, but super-diag has 5 classes; lower it to 5 or less."
    )
    with pytest.raises(SpaceError) as caught:
        check_values(RULES, "tpo_k", ())
    assert str(caught.value) == "tpo_k is not a dimension; did you mean 'top_k'?"
