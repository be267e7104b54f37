from __future__ import annotations

import math

import pytest

from search_spaces import CategoricalDimension, FloatDimension, IntDimension, SpaceError


@pytest.mark.parametrize(
    ("axis", "inside", "outside"),
    [
        (IntDimension(low=1, high=3), [1, 2, 3], [0, 4, 1.0, True, "1", None]),
        (FloatDimension(low=0.5, high=2.0), [0.5, 1, 1.5, 2.0], [0.49, 2.01, True, "1", None]),
        (CategoricalDimension(choices=(1, 5)), [1, 5], [2, 1.0, True, "1", None]),
        (CategoricalDimension(choices=("a", True)), ["a", True], ["b", 1, False]),
        (IntDimension(low=4, high=4), [4], [3, 5]),
    ],
)
def test_an_axis_holds_its_ends_and_nothing_of_another_kind(axis, inside, outside):
    assert all(value in axis for value in inside)
    assert not any(value in axis for value in outside)


@pytest.mark.parametrize("kind", [IntDimension, FloatDimension])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"low": 3, "high": 2}, "low must not exceed high, got low 3 and high 2; swap them."),
        ({"low": 0, "high": 2, "log": True}, "low must be above 0 on a logarithmic scale, got 0."),
        ({"low": 0, "high": math.inf}, "low and high must be finite, got low 0 and high inf."),
        ({"low": math.nan, "high": 1}, "low and high must be finite, got low nan and high 1."),
    ],
)
def test_a_range_that_cannot_be_searched_is_refused(kind, given, message):
    with pytest.raises(SpaceError) as caught:
        kind(**given)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ((), "choices must hold at least one value, got none."),
        ((1, 2, 1), "choices must differ from each other, got [1, 2, 1]."),
    ],
)
def test_choices_that_cannot_be_searched_are_refused(choices, message):
    with pytest.raises(SpaceError) as caught:
        CategoricalDimension(choices=choices)
    assert str(caught.value) == message
