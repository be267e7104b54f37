"""From the unit interval to an axis."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import CategoricalDimension, Dimension, FloatDimension, IntDimension
from search_spaces.quantile import value_at

SHARES = st.floats(0, 1, exclude_max=True)
ENDS = st.tuples(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6)).map(sorted)
WHOLE_ENDS = st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)).map(sorted)
AXES = st.one_of(
    st.builds(
        lambda ends, log: FloatDimension(low=ends[0], high=ends[1], log=log), ENDS, st.booleans()
    ),
    st.builds(
        lambda ends, log: IntDimension(low=ends[0], high=ends[1], log=log),
        WHOLE_ENDS,
        st.booleans(),
    ),
    st.integers(1, 40).map(lambda n: CategoricalDimension(choices=tuple(range(n)))),
)
NUMBERS = st.one_of(
    st.builds(
        lambda ends, log: FloatDimension(low=ends[0], high=ends[1], log=log), ENDS, st.booleans()
    ),
    st.builds(
        lambda ends, log: IntDimension(low=ends[0], high=ends[1], log=log),
        WHOLE_ENDS,
        st.booleans(),
    ),
)


@given(axis=AXES, share=SHARES)
def test_every_value_lies_on_its_axis_with_its_type(axis: Dimension, share: float):
    assert value_at(axis, share) in axis
    assert value_at(axis, math.nextafter(1, 0)) in axis


@given(axis=NUMBERS, one=SHARES, other=SHARES)
def test_a_larger_share_gives_no_smaller_value(axis: Dimension, one: float, other: float):
    assert value_at(axis, min(one, other)) <= value_at(axis, max(one, other))


@pytest.mark.parametrize("low", [-3, 0, 1, 7])
@pytest.mark.parametrize("count", [1, 2, 5, 10, 784])
def test_every_integer_has_an_equal_part(low: int, count: int):
    axis = IntDimension(low=low, high=low + count - 1)
    found = Counter(value_at(axis, (i + 0.5) / (8 * count)) for i in range(8 * count))
    assert found == dict.fromkeys(range(low, low + count), 8)


def test_every_choice_has_an_equal_part_in_order():
    axis = CategoricalDimension(choices=("b", "c", "a"))
    found = [value_at(axis, (i + 0.5) / 12) for i in range(12)]
    assert found == ["b"] * 4 + ["c"] * 4 + ["a"] * 4


def test_a_logarithmic_axis_is_even_in_the_logarithm():
    axis = FloatDimension(low=1e-4, high=1.0, log=True)
    found = [math.log10(value_at(axis, i / 8)) for i in range(8)]
    assert found == pytest.approx([-4 + i / 2 for i in range(8)], abs=1e-12)


def test_an_integer_on_a_logarithmic_axis_has_its_part_of_the_logarithm():
    axis = IntDimension(low=1, high=100, log=True)
    n = 200_000
    found = Counter(value_at(axis, (i + 0.5) / n) for i in range(n))
    whole = math.log(100.5 / 0.5)
    for value in (1, 2, 10, 100):
        expected = math.log((value + 0.5) / (value - 0.5)) / whole
        assert found[value] / n == pytest.approx(expected, abs=2 / n)


def test_an_axis_of_one_value_has_no_other():
    assert {value_at(IntDimension(low=3, high=3, log=True), s / 9) for s in range(9)} == {3}
    assert {value_at(FloatDimension(low=0.1, high=0.1), s / 9) for s in range(9)} == {0.1}
