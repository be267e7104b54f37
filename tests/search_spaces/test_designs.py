"""Designs, their points and the quantiles of an axis."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from SALib.analyze import sobol as analysis
from SALib.sample import sobol as salib
from scipy.stats import qmc

from search_spaces import (
    DESIGNS,
    CategoricalDimension,
    Dimension,
    FloatDimension,
    IntDimension,
    Saltelli,
    Sobol,
    Space,
    SpaceError,
    check_design,
    design_point,
    design_points,
    sweep,
    unique,
)
from search_spaces.designs import quantile_value
from tests.search_spaces.rules import VARIANTS

SHARES = st.floats(0, 1, exclude_max=True)
ENDS = st.tuples(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6)).map(sorted)
WHOLE_ENDS = st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)).map(sorted)
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
CHOICES = st.integers(1, 40).map(lambda n: CategoricalDimension(choices=tuple(range(n))))


@given(axis=NUMBERS | CHOICES, share=SHARES)
def test_every_value_lies_on_its_axis_with_its_type(axis: Dimension, share: float):
    assert quantile_value(axis, share) in axis
    assert quantile_value(axis, math.nextafter(1, 0)) in axis


@given(axis=NUMBERS, one=SHARES, other=SHARES)
def test_a_larger_share_gives_no_smaller_value(axis: Dimension, one: float, other: float):
    assert quantile_value(axis, min(one, other)) <= quantile_value(axis, max(one, other))


@pytest.mark.parametrize("low", [-3, 0, 1, 7])
@pytest.mark.parametrize("count", [1, 2, 5, 10, 784])
def test_every_integer_has_an_equal_part(low: int, count: int):
    axis = IntDimension(low=low, high=low + count - 1)
    found = Counter(quantile_value(axis, (i + 0.5) / (8 * count)) for i in range(8 * count))
    assert found == dict.fromkeys(range(low, low + count), 8)


def test_every_choice_has_an_equal_part_in_order():
    axis = CategoricalDimension(choices=("b", "c", "a"))
    found = [quantile_value(axis, (i + 0.5) / 12) for i in range(12)]
    assert found == ["b"] * 4 + ["c"] * 4 + ["a"] * 4


def test_a_logarithmic_axis_is_even_in_the_logarithm():
    axis = FloatDimension(low=1e-4, high=1.0, log=True)
    found = [math.log10(quantile_value(axis, i / 8)) for i in range(8)]
    assert found == pytest.approx([-4 + i / 2 for i in range(8)], abs=1e-12)


def test_an_integer_on_a_logarithmic_axis_has_its_part_of_the_logarithm():
    axis = IntDimension(low=1, high=100, log=True)
    n = 200_000
    found = Counter(quantile_value(axis, (i + 0.5) / n) for i in range(n))
    whole = math.log(100.5 / 0.5)
    for value in (1, 2, 10, 100):
        expected = math.log((value + 0.5) / (value - 0.5)) / whole
        assert found[value] / n == pytest.approx(expected, abs=2 / n)


def test_an_axis_of_one_value_has_no_other():
    assert {quantile_value(IntDimension(low=3, high=3, log=True), s / 9) for s in range(9)} == {3}
    assert {quantile_value(FloatDimension(low=0.1, high=0.1), s / 9) for s in range(9)} == {0.1}


VALUES = st.lists(st.integers(-3, 3), max_size=6)
POINTS = st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 2)), max_size=8)


@given(center=st.dictionaries(st.sampled_from("abc"), st.integers()), values=VALUES)
def test_a_sweep_changes_one_dimension_and_leaves_the_center_as_it_is(center, values):
    before = dict(center)
    points = sweep(center, "b", values)
    assert [point["b"] for point in points] == values
    for point in points:
        assert {**point, "b": 0} == {**center, "b": 0}
    assert center == before


@given(POINTS)
def test_distinct_points_are_the_first_of_each_in_order(points):
    found = list(unique(points))
    assert all(point in found for point in points)
    assert all(found.count(point) == 1 for point in found)
    firsts = [points.index(point) for point in found]
    assert firsts == sorted(firsts)
    assert list(unique(found)) == found


def test_the_order_of_dimensions_makes_no_other_point():
    assert unique([{"a": 1, "b": 2}, {"b": 2, "a": 1}]) == ({"a": 1, "b": 2},)


SPACE = Space(
    dimensions={
        "top_k": IntDimension(low=1, high=10),
        "n_features": FloatDimension(low=0.001, high=1.0, log=True),
        "alpha": FloatDimension(low=0.1, high=2.0),
        "steps": IntDimension(low=1, high=50, log=True),
        "mode": CategoricalDimension(choices=("a", "b", "c")),
    },
    fixed={"split": 0.5},
)
ALL = [Sobol(), Saltelli(), Saltelli(second_order=True)]


def by_name(design):
    return f"{design.name}{' of second order' if design == ALL[2] else ''}"


each_design = pytest.mark.parametrize("design", ALL, ids=by_name)


def test_every_design_is_known_under_its_name():
    assert {name: kind.name for name, kind in DESIGNS.items()} == {n: n for n in DESIGNS}
    assert {type(design) for design in ALL} == set(DESIGNS.values())


@each_design
def test_the_same_seed_gives_the_same_points_and_another_one_others(design):
    assert design_points(design, SPACE, 7, 24) == design_points(design, SPACE, 7, 24)
    assert design_points(design, SPACE, 7, 24) != design_points(design, SPACE, 8, 24)


@each_design
@pytest.mark.parametrize("count", [1, 2, 7, 12, 64, 84, 100, 168])
def test_a_longer_design_begins_with_the_shorter_one(design, count):
    longest = design_points(design, SPACE, 3, 336)
    assert design_points(design, SPACE, 3, count) == longest[:count]


@each_design
def test_one_point_is_the_point_of_its_number(design):
    points = design_points(design, SPACE, 2**48 - 1, 40)
    assert [design_point(design, SPACE, 2**48 - 1, i) for i in range(40)] == list(points)


@each_design
def test_every_point_lies_on_its_axes(design):
    for seed in range(4):
        for point in design_points(design, SPACE, seed, 200):
            assert point.keys() == SPACE.dimensions.keys()
            assert all(point[name] in axis for name, axis in SPACE.dimensions.items())


@each_design
def test_what_is_computed_once_cannot_be_changed_by_who_reads_it(design):
    with pytest.raises(ValueError, match="read-only"):
        design.unit_points(5, 0, 8)[0, 0] = 0.5


@pytest.mark.parametrize("exponent", range(3, 10))
@pytest.mark.parametrize("seed", range(3))
def test_sobol_visits_integers_and_choices_equally_often(exponent, seed):
    """A value's part of the axis meets the 2^m equal parts in all but two, at its ends."""
    n = 2**exponent
    points = design_points(Sobol(), SPACE, seed, n)
    for name, values in (("top_k", range(1, 11)), ("mode", "abc")):
        found = Counter(point[name] for point in points)
        assert all(abs(found[value] - n / len(values)) < 2 for value in values)


def test_sobol_is_even_in_the_logarithm_of_a_logarithmic_axis():
    points = design_points(Sobol(), SPACE, 0, 128)
    unit_points = sorted(math.log(p["n_features"] / 0.001) / math.log(1000) for p in points)
    assert [int(share * 128) for share in unit_points] == list(range(128))


def test_sobol_is_even_in_every_pair_of_dimensions():
    """Far more so than as many random points."""
    sobol = Sobol().unit_points(5, 0, 256)
    random = np.random.default_rng(0).random((256, 5))
    for pair in itertools.combinations(range(5), 2):
        ours, chance = (qmc.discrepancy(x[:, pair], method="L2-star") for x in (sobol, random))
        assert ours < chance / 3


def test_the_points_of_sobol_are_those_of_scipy():
    theirs = qmc.Sobol(5, scramble=True, rng=11).random_base2(4)
    assert (Sobol().unit_points(5, 11, 16) == theirs).all()


@pytest.mark.parametrize("second_order", [False, True])
def test_trial_i_of_saltelli_is_row_i_of_salib(second_order):
    design = Saltelli(second_order=second_order)
    problem = {"num_vars": 3, "names": list("abc"), "bounds": [[0, 1]] * 3}
    theirs = salib.sample(problem, 8, calc_second_order=second_order, seed=11)
    assert len(theirs) == 8 * design.block_size(3)
    assert (design.unit_points(3, 11, len(theirs)) == theirs).all()


@pytest.mark.parametrize("second_order", [False, True])
def test_a_block_changes_one_dimension_at_a_time(second_order):
    design = Saltelli(second_order=second_order)
    size = design.block_size(5)
    points = design_points(design, SPACE, 0, 4 * size)
    for block in range(4):
        first, *middle, last = points[block * size : (block + 1) * size]
        for i, name in enumerate(SPACE.dimensions):
            assert middle[i] == {**first, name: last[name]}
            if second_order:
                assert middle[5 + i] == {**last, name: first[name]}


def test_salib_finds_the_indices_of_a_known_function_in_the_points_as_they_are():
    """Ishigami's function, whose indices are known in closed form."""
    dimensions = {name: FloatDimension(low=-math.pi, high=math.pi) for name in "abc"}
    space = Space(dimensions=dimensions, fixed={})
    design = Saltelli()
    points = design_points(design, space, 0, 2048 * design.block_size(3))
    values = [
        math.sin(p["a"]) + 7 * math.sin(p["b"]) ** 2 + 0.1 * p["c"] ** 4 * math.sin(p["a"])
        for p in points
    ]
    bounds = [[-math.pi, math.pi]] * 3
    problem = {"num_vars": 3, "names": list("abc"), "bounds": bounds}
    found = analysis.analyze(problem, np.array(values), calc_second_order=False, seed=0)
    assert found["S1"] == pytest.approx([0.3139, 0.4424, 0.0], abs=0.02)
    assert found["ST"] == pytest.approx([0.5576, 0.4424, 0.2437], abs=0.02)


def test_sobol_leaves_out_what_a_choice_closes_and_fills_what_it_opens():
    points = design_points(Sobol(), VARIANTS, 0, 64)
    pixel = [p for p in points if p["variant"] == "pixel"]
    block = [p for p in points if p["variant"] == "block"]
    assert len(pixel) == len(block) == 32
    assert all(p.keys() == {"variant", "mix"} for p in pixel)
    assert all(p.keys() == {"variant", "max_area"} for p in block)
    assert Counter(int(p["mix"] * 4) for p in pixel) == dict.fromkeys(range(4), 8)


def reason(design, space, trials):
    with pytest.raises(SpaceError) as refused:
        check_design(design, space, trials)
    return str(refused.value)


@pytest.mark.parametrize("trials", [7, 14, 28, 56, 448, 7 * 2**20])
def test_saltelli_takes_a_power_of_two_of_blocks(trials):
    check_design(Saltelli(), SPACE, trials)
    check_design(Saltelli(second_order=True), SPACE, trials // 7 * 12)


@pytest.mark.parametrize(
    ("trials", "nearest"),
    [(1, "7"), (6, "7"), (8, "7 or 14"), (21, "14 or 28"), (64, "56 or 112"), (447, "224 or 448")],
)
def test_other_numbers_of_trials_are_refused_with_the_nearest(trials, nearest):
    assert reason(Saltelli(), SPACE, trials) == (
        "trials must be a power of two times 7 for design 'saltelli' (D + 2, where D = 5 is the "
        f"number of searched dimensions), got {trials}; give {nearest}."
    )


def test_second_order_asks_for_other_numbers_of_trials():
    message = reason(Saltelli(second_order=True), SPACE, 56)
    assert "a power of two times 12 for design 'saltelli' (2·D + 2, where D = 5" in message
    assert message.endswith("got 56; give 48 or 96.")


def test_saltelli_refuses_dimensions_that_may_be_closed():
    message = reason(Saltelli(), VARIANTS, 5)
    assert "but mix and max_area have none without a certain variant; hold variant" in message
    check_design(Sobol(), VARIANTS, 5)


def test_one_dimension_has_no_pairs():
    one = Space(dimensions={"alpha": SPACE.dimensions["alpha"]}, fixed={})
    assert reason(Saltelli(second_order=True), one, 4).startswith("design.second_order must be")
    check_design(Saltelli(), one, 3)


@each_design
def test_a_space_without_dimensions_is_refused(design):
    assert reason(design, dataclasses.replace(SPACE, dimensions={}), 4) == (
        f"design {design.name!r} needs a dimension to fill, but none is searched; remove it."
    )


def test_sobol_says_which_numbers_are_more_even():
    for trials in (1, 64, 100):
        check_design(Sobol(), SPACE, trials)
        assert Saltelli().advice(trials) is None
    assert (Sobol().advice(1), Sobol().advice(64)) == (None, None)
    assert Sobol().advice(100).endswith("a power of two would be, such as 64 or 128.")
