"""Dimensions of given ends and defaults."""

from __future__ import annotations

import pytest

from search_spaces import (
    CategoricalDimension,
    FloatDimension,
    IntDimension,
    SpaceError,
    wider_ends,
)
from tests.search_spaces.rules import AMOUNT, BARE, COUNT, FEATURES, NAMES


@pytest.mark.parametrize(
    ("rule", "given", "expected"),
    [
        (COUNT, {}, IntDimension(low=1, high=5)),
        (COUNT, {"low": 2, "high": 2, "log": True}, IntDimension(low=2, high=2, log=True)),
        (AMOUNT, {"low": 0, "high": 1}, FloatDimension(low=0.0, high=1.0)),
        (AMOUNT, {"log": True}, FloatDimension(low=0.1, high=2.0, log=True)),
        (FEATURES, {}, FloatDimension(low=0.01, high=0.3)),
        (FEATURES, {"high": 1.0}, FloatDimension(low=0.01, high=1.0)),
        (FEATURES, {"low": 2, "high": 4}, IntDimension(low=2, high=4)),
        (FEATURES, {"high": 3}, IntDimension(low=1, high=3)),
        (FEATURES, {"low": 3}, IntDimension(low=3, high=5)),
        (NAMES, {}, CategoricalDimension(choices=("pixel", "block"))),
        (BARE, {"low": 1, "high": 2}, FloatDimension(low=1.0, high=2.0)),
    ],
)
def test_what_is_not_given_is_taken_from_the_default(rule, given, expected):
    axis = rule.dimension(given)
    assert axis == expected
    if isinstance(axis, FloatDimension):
        assert (type(axis.low), type(axis.high)) == (float, float)


@pytest.mark.parametrize(
    ("rule", "given", "message"),
    [
        (COUNT, {"high": 6}, "high must be a count of 1 to 5, got 6."),
        (COUNT, {"low": None}, "low must be a count of 1 to 5, got None."),
        (BARE, {"high": 1}, "low is missing; this parameter has no range of its own."),
        (BARE, {}, "low is missing; this parameter has no range of its own."),
        (
            AMOUNT,
            {"low": 3, "high": 1},
            "low must not exceed high, got low 3.0 and high 1.0; swap them.",
        ),
        (
            AMOUNT,
            {"low": 3},
            "low must not exceed high, got low 3.0 and high 2.0, where high is the default; give "
            "high as well.",
        ),
        (
            AMOUNT,
            {"low": 0, "log": True},
            "low must be above 0 on a logarithmic scale, got 0.0.",
        ),
        (
            FEATURES,
            {"low": 0.01, "high": 1},
            "low and high must be two shares such as 0.01 and 1.0, or two counts such as 1 and "
            "20, got low 0.01 and high 1.",
        ),
        (NAMES, {"low": 1}, "low is not a setting of choices; write a list of some of them."),
    ],
)
def test_a_range_beyond_the_rule_is_refused_with_what_must_hold(rule, given, message):
    with pytest.raises(SpaceError) as caught:
        rule.dimension(given)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("rule", "axis", "ends"),
    [
        (AMOUNT, FloatDimension(low=0.1, high=2.0), (0.025, 3.9)),
        (AMOUNT, FloatDimension(low=0.01, high=1.0, log=True), (0.0001, 100.0)),
        (AMOUNT, FloatDimension(low=0.0, high=2.0), (None, 4.0)),
        (COUNT, IntDimension(low=1, high=5), (None, None)),
        (COUNT, IntDimension(low=2, high=3), (1, 4)),
        (COUNT, IntDimension(low=2, high=4), (1, 5)),
    ],
)
def test_the_next_ends_beyond_a_range_are_the_farthest_legal_ones(rule, axis, ends):
    found = wider_ends({"x": rule}, {"x": axis})["x"]
    assert found == pytest.approx(ends) if None not in ends else found == ends
    choices = {"x": CategoricalDimension(choices=(1, 2))}
    assert wider_ends({"x": rule}, choices) == {}
