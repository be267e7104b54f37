"""What dimensions allow: open and closed ends, shares and counts, choices."""

from __future__ import annotations

import math

import pytest

from search_spaces import CategoricalDimension, FloatDimension, IntDimension, SpaceError
from search_spaces.rules import Bounds, ChoiceRule, IntegerRule, RealRule, ShareOrCountRule

COUNT = IntegerRule(
    bounds=Bounds(low=1, high=5, reason="super-diag has 5 classes"),
    default=IntDimension(low=1, high=5),
)
AMOUNT = RealRule(bounds=Bounds(low=0.0), default=FloatDimension(low=0.1, high=2.0))
OPEN = RealRule(
    bounds=Bounds(low=0.0, high=1.0, is_open_below=True, is_open_above=True),
    default=FloatDimension(low=0.1, high=0.9),
)
SHARE = RealRule(
    bounds=Bounds(low=0.0, high=1.0, is_open_below=True),
    default=FloatDimension(low=0.01, high=0.3),
)
FEATURES = ShareOrCountRule(share=SHARE, count=COUNT)
NAMES = ChoiceRule(choices=("topk", "target", 1))


def refusal(call, *arguments: object) -> str:
    with pytest.raises(SpaceError) as caught:
        call(*arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    ("bounds", "legal", "illegal", "text"),
    [
        (Bounds(low=0, high=1), [0, 0.5, 1], [-1e-9, 1 + 1e-9], "in [0, 1]"),
        (Bounds(low=0, high=1, is_open_below=True), [1e-9, 1], [0], "in (0, 1]"),
        (Bounds(low=0, high=1, is_open_above=True), [0, 1 - 1e-9], [1], "in [0, 1)"),
        (Bounds(low=0), [0, 1e300], [-1, math.inf, math.nan], "in [0, ∞)"),
        (Bounds(low=0, is_open_below=True), [1e-9], [0, -math.inf], "in (0, ∞)"),
    ],
)
def test_bounds_are_open_or_closed_and_never_hold_infinity(bounds, legal, illegal, text):
    assert all(bounds.allow(value) for value in legal)
    assert not any(bounds.allow(value) for value in illegal)
    assert str(bounds) == text


@pytest.mark.parametrize(
    ("rule", "given", "expected"),
    [
        (COUNT, {}, IntDimension(low=1, high=5)),
        (COUNT, {"low": 2}, IntDimension(low=2, high=5)),
        (COUNT, {"low": 2, "high": 2, "log": True}, IntDimension(low=2, high=2, log=True)),
        (AMOUNT, {}, FloatDimension(low=0.1, high=2.0)),
        (AMOUNT, {"low": 0, "high": 1}, FloatDimension(low=0.0, high=1.0)),
        (AMOUNT, {"log": True}, FloatDimension(low=0.1, high=2.0, log=True)),
        (FEATURES, {}, FloatDimension(low=0.01, high=0.3)),
        (FEATURES, {"log": True}, FloatDimension(low=0.01, high=0.3, log=True)),
        (FEATURES, {"high": 1.0}, FloatDimension(low=0.01, high=1.0)),
        (FEATURES, {"low": 2, "high": 4}, IntDimension(low=2, high=4)),
        (FEATURES, {"high": 3}, IntDimension(low=1, high=3)),
        (FEATURES, {"low": 3}, IntDimension(low=3, high=5)),
        (NAMES, {}, CategoricalDimension(choices=("topk", "target", 1))),
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
        (COUNT, {"high": 6}, "high is 6, but super-diag has 5 classes; lower it to 5 or less."),
        (COUNT, {"low": 9}, "low is 9, but super-diag has 5 classes; lower it to 5 or less."),
        (COUNT, {"low": 0}, "low must lie in [1, 5], got 0."),
        (COUNT, {"low": 1.0}, "low must be an integer, got 1.0."),
        (COUNT, {"high": True}, "high must be an integer, got True."),
        (COUNT, {"high": "5"}, "high must be an integer, got '5'."),
        (COUNT, {"high": None}, "high must be an integer, got None."),
        (AMOUNT, {"low": -0.1}, "low must lie in [0, ∞), got -0.1."),
        (AMOUNT, {"high": math.inf}, "high must lie in [0, ∞), got inf."),
        (AMOUNT, {"low": math.nan}, "low must lie in [0, ∞), got nan."),
        (AMOUNT, {"low": "1"}, "low must be a number, got '1'."),
        (AMOUNT, {"low": False}, "low must be a number, got False."),
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
            {"high": 0.05},
            "low must not exceed high, got low 0.1 and high 0.05, where low is the default; give "
            "low as well.",
        ),
        (
            AMOUNT,
            {"low": 0, "log": True},
            "low must be above 0 on a logarithmic scale, got 0.0.",
        ),
        (OPEN, {"low": 0}, "low must lie in (0, 1), got 0."),
        (OPEN, {"high": 1}, "high must lie in (0, 1), got 1."),
        (FEATURES, {"high": 1.5}, "high must lie in (0, 1], got 1.5."),
        (FEATURES, {"low": 0.0}, "low must lie in (0, 1], got 0."),
        (FEATURES, {"low": 0}, "low must lie in [1, 5], got 0."),
        (FEATURES, {"high": 7}, "high is 7, but super-diag has 5 classes; lower it to 5 or less."),
        (FEATURES, {"high": "7"}, "high must be a number, got '7'."),
        (
            FEATURES,
            {"low": 0.01, "high": 1},
            "low and high must be two shares such as 0.01 and 1.0, or two counts such as 1 and "
            "20, got low 0.01 and high 1.",
        ),
        (
            NAMES,
            {"low": 1},
            "low is not a setting of choices; write a list of some of them.",
        ),
    ],
)
def test_a_range_beyond_the_rule_is_refused_with_what_must_hold(rule, given, message):
    assert refusal(rule.dimension, given) == message


@pytest.mark.parametrize(
    ("rule", "value", "kept"),
    [
        (COUNT, 5, 5),
        (AMOUNT, 1, 1.0),
        (FEATURES, 3, 3),
        (FEATURES, 1.0, 1.0),
        (NAMES, "target", "target"),
        (NAMES, 1, 1),
    ],
)
def test_a_legal_value_is_given_back_in_the_kind_of_its_dimension(rule, value, kept):
    found = rule.check(value, "x")
    assert (type(found), found) == (type(kept), kept)


@pytest.mark.parametrize(
    ("rule", "value", "message"),
    [
        (COUNT, 6, "x is 6, but super-diag has 5 classes; lower it to 5 or less."),
        (COUNT, 2.0, "x must be an integer, got 2.0."),
        (OPEN, 1.0, "x must lie in (0, 1), got 1."),
        (FEATURES, True, "x must be a number, got True."),
        (NAMES, "top", "x must be among topk, target, 1, got 'top'."),
        (NAMES, True, "x must be among topk, target, 1, got True."),
        (NAMES, [1], "x must be among topk, target, 1, got [1]."),
    ],
)
def test_an_illegal_value_is_refused(rule, value, message):
    assert refusal(rule.check, value, "x") == message
