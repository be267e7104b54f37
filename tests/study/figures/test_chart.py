"""A chart is whole, and its axes hold all that is drawn."""

from __future__ import annotations

import pytest

from study.figures.chart import Axis, Chart, Level, Panel, Series, Text
from study.figures.extent import extent, extents
from study.figures.style import Look

LOOK = Look(color="#000000", marker="o", line="-")


def panel(*series: Series, x: Axis = Axis(), y: Axis = Axis(), **more: object) -> Panel:  # noqa: B008
    return Panel(title="", x=x, y=y, series=series, **more)  # type: ignore[arg-type]


def series(**given: object) -> Series:
    return Series(**{"name": "s", "look": LOOK, "x": (0.0, 10.0), "y": (1.0, 2.0)} | given)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [{"y": (1.0,)}, {"low": (1.0, 1.0)}, {"hover": ("a",)}])
def test_a_series_has_one_of_everything_per_point(given):
    with pytest.raises(ValueError, match="Series 's': one of everything per point"):
        series(**given)


def test_a_ring_needs_its_point():
    with pytest.raises(ValueError, match=r"Series 's': no point to ring among \(2,\)"):
        series(ringed=(2,))


def test_a_chart_has_panels_in_every_row_and_a_height_for_each():
    with pytest.raises(ValueError, match="every row needs a panel"):
        Chart(rows=((),), caption="")
    with pytest.raises(ValueError, match="one height per row"):
        Chart(rows=((panel(),),), caption="", heights=(1.0, 2.0))


def test_an_axis_holds_points_intervals_levels_and_words_with_a_margin():
    one = panel(
        series(low=(-1.0, 1.0), high=(2.0, 3.0)),
        levels=(Level(name="", look=LOOK, value=5.0, low=4.0, high=19.0),),
        texts=(Text(x=20.0, y=0.0, words="w"), Text(x=None, y=0.0, words="w")),
    )
    assert extent([one], "x") == pytest.approx((-1.0, 21.0))
    assert extent([one], "y") == pytest.approx((-2.0, 20.0))


def test_a_level_on_one_axis_does_not_stretch_the_other():
    one = panel(series(), levels=(Level(name="", look=LOOK, value=90.0, axis="x"),))
    assert extent([one], "y")[1] < 3


def test_a_logarithmic_axis_has_its_margin_in_decades_and_leaves_out_what_it_cannot_show():
    low, high = extent([panel(series(x=(0.01, 1.0)), x=Axis(is_log=True))], "x")
    assert (low, high) == pytest.approx((10**-2.1, 10**0.1))
    low, _ = extent([panel(series(x=(0.0, 1.0)), x=Axis(is_log=True))], "x")
    assert low > 0


def test_rows_of_a_list_have_half_a_row_around_them():
    axis = Axis(ticks=((0.0, "a"), (1.0, "b")), is_reversed=True)
    assert extent([panel(series(), y=axis)], "y") == (-0.5, 2.5)


def test_limits_go_before_data_and_nothing_drawn_is_from_0_to_1():
    assert extent([panel(series(), x=Axis(limits=(3.0, 4.0)))], "x") == (3.0, 4.0)
    assert extent([panel()], "x") == (0.0, 1.0)
    assert extent([panel(x=Axis(is_log=True))], "x") == (1.0, 10.0)


def test_one_point_has_room_around_it():
    for value in (0.0, 7.0, -3.0):
        low, high = extent([panel(series(x=(value, value)))], "x")
        assert low < value < high


def test_what_is_not_a_number_stretches_nothing():
    assert extent([panel(series(x=(0.0, float("nan"))))], "x")[1] < 1


def test_a_shared_axis_holds_all_of_its_row():
    row = (panel(series()), panel(series(y=(50.0, 60.0))))
    shared = extents(Chart(rows=(row,), caption="", shares_y=True))
    assert shared[0][0][1] == shared[0][1][1]
    apart = extents(Chart(rows=(row,), caption=""))
    assert apart[0][0][1] != apart[0][1][1]
