from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from search_spaces import distinct, sweep

VALUES = st.lists(st.integers(-3, 3), max_size=6)
POINTS = st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 2)), max_size=8)


@given(centre=st.dictionaries(st.sampled_from("abc"), st.integers()), values=VALUES)
def test_a_sweep_changes_one_dimension_and_leaves_the_centre_as_it_is(centre, values):
    before = dict(centre)
    points = sweep(centre, "b", values)
    assert [point["b"] for point in points] == values
    for point in points:
        assert {**point, "b": 0} == {**centre, "b": 0}
    assert centre == before


@given(POINTS)
def test_distinct_points_are_the_first_of_each_in_order(points):
    found = list(distinct(points))
    assert all(point in found for point in points)
    assert all(found.count(point) == 1 for point in found)
    firsts = [points.index(point) for point in found]
    assert firsts == sorted(firsts)
    assert list(distinct(found)) == found


def test_the_order_of_dimensions_makes_no_other_point():
    assert distinct([{"a": 1, "b": 2}, {"b": 2, "a": 1}]) == ({"a": 1, "b": 2},)
