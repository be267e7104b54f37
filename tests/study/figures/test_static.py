"""What a chart says, drawn by Matplotlib: marks, bands, bars, rings, levels, scales, words."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from study.figures import static
from study.figures.chart import Axis, Chart, Level, Panel, Series, Text
from study.figures.style import Look

LOOK = Look(color="#0072B2", marker="^", line="--")
THREE = Series(name="three", look=LOOK, x=(1.0, 2.0, 4.0), y=(3.0, 1.0, 2.0))
LOW, HIGH = (2.0, 0.5, 1.5), (4.0, 2.5, 3.0)


def chart(*series: Series, x: Axis = Axis(), y: Axis = Axis(), **panel: object) -> Chart:  # noqa: B008
    one = Panel(title="A title", x=x, y=y, series=series, **panel)  # type: ignore[arg-type]
    return Chart(rows=((one,),), caption="n = 3 replicas")


def axes_of(drawn: Chart) -> Axes:
    (axes,) = static.draw(drawn).axes
    return axes


def line(axes: Axes, label: str = "three") -> Line2D:
    return next(one for one in axes.lines if one.get_label() == label)


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for one in figure.legends for text in one.get_texts()]


def with_interval(mark: str, spread: str = "y") -> Series:
    return Series(
        name="three",
        look=LOOK,
        x=THREE.x,
        y=THREE.y,
        low=LOW,
        high=HIGH,
        mark=mark,  # type: ignore[arg-type]
        spread=spread,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("mark", "joined", "marker", "step"),
    [
        ("line", "--", "^", "default"),
        ("points", "None", "^", "default"),
        ("plain", "--", "", "default"),
        ("steps", "--", "", "steps-post"),
    ],
)
def test_each_mark_joins_its_points_and_shows_them_as_it_should(mark, joined, marker, step):
    shown = line(axes_of(chart(with_interval(mark))))
    np.testing.assert_allclose(shown.get_xydata(), np.transpose([THREE.x, THREE.y]))
    assert (shown.get_linestyle(), shown.get_marker(), shown.get_drawstyle()) == (
        joined,
        marker,
        step,
    )
    assert shown.get_color() == "#0072B2"


@pytest.mark.parametrize("spread", ["x", "y"])
def test_the_interval_of_points_is_a_bar_from_end_to_end(spread):
    axes = axes_of(chart(with_interval("points", spread)))
    (bars,) = [one for one in axes.collections if isinstance(one, LineCollection)]
    places = THREE.x if spread == "y" else THREE.y
    ends = [[(p, lo), (p, hi)] for p, lo, hi in zip(places, LOW, HIGH, strict=True)]
    expected = ends if spread == "y" else [[(b, a) for a, b in one] for one in ends]
    np.testing.assert_allclose(bars.get_segments(), expected)


@pytest.mark.parametrize("mark", ["line", "plain"])
def test_the_interval_of_a_line_is_a_band_through_its_ends(mark):
    (band,) = axes_of(chart(with_interval(mark))).collections
    corners = band.get_paths()[0].vertices
    for x, low, high in zip(THREE.x, LOW, HIGH, strict=True):
        for end in (low, high):
            assert np.isclose(corners, [x, end]).all(axis=1).any()
    assert band.get_alpha() < 0.5


def test_an_interval_that_does_not_hold_its_mean_is_drawn_where_it_lies():
    odd = Series(
        name="three", look=LOOK, x=(1.0,), y=(5.0,), low=(1.0,), high=(2.0,), mark="points"
    )
    axes = axes_of(chart(odd))
    (bars,) = [one for one in axes.collections if isinstance(one, LineCollection)]
    np.testing.assert_allclose(bars.get_segments(), [[(1, 1), (1, 2)]])


def test_a_hollow_marker_is_white_inside_and_opacity_is_kept():
    hollow = Series(name="three", look=LOOK, x=(1.0,), y=(1.0,), is_hollow=True, opacity=0.4)
    shown = line(axes_of(chart(hollow)))
    assert to_hex(shown.get_markerfacecolor()) == "#ffffff"
    assert to_hex(shown.get_markeredgecolor()) == "#0072b2"
    assert shown.get_alpha() == 0.4


def test_rings_lie_around_their_points_and_are_named_once():
    ringed = Series(
        name="three", look=LOOK, x=THREE.x, y=THREE.y, ringed=(0, 2), ring_name="marked out"
    )
    figure = static.draw(chart(ringed))
    ring = line(figure.axes[0], "marked out")
    np.testing.assert_allclose(ring.get_xydata(), [(1, 3), (4, 2)])
    assert ring.get_markersize() > line(figure.axes[0]).get_markersize()
    assert legend(figure) == ["three", "marked out"]


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_level_crosses_the_panel_with_a_band_for_its_interval(axis):
    level = Level(name="Base", look=LOOK, value=2.0, low=1.0, high=2.5, axis=axis)
    axes = axes_of(chart(THREE, levels=(level,)))
    across = line(axes, "Base")
    values = across.get_ydata() if axis == "y" else across.get_xdata()
    assert list(values) == [2.0, 2.0]
    (band,) = axes.patches
    box = band.get_bbox()
    assert (box.y0, box.y1) == (1.0, 2.5) if axis == "y" else (box.x0, box.x1) == (1.0, 2.5)
    assert band.get_alpha() < 0.5


def test_a_name_is_in_the_legend_once_and_what_has_none_is_not():
    nameless = Series(name="", look=LOOK, x=(1.0,), y=(1.0,))
    figure = static.draw(
        Chart(
            rows=(
                tuple(Panel(title="", x=Axis(), y=Axis(), series=(THREE, nameless)) for _ in "ab"),
            ),
            caption="c",
        )
    )
    assert legend(figure) == ["three"]


def test_a_chart_without_names_has_no_legend():
    nameless = Series(name="", look=LOOK, x=(1.0,), y=(1.0,))
    assert static.draw(chart(nameless)).legends == []


def test_a_legend_that_is_too_wide_takes_more_lines():
    many = [
        Series(name=f"a rather long name of an arm {i}", look=LOOK, x=(1.0,), y=(1.0,))
        for i in range(6)
    ]
    figure = static.draw(chart(*many))
    (shown,) = figure.legends
    assert shown.get_window_extent().width <= figure.bbox.width
    assert len(legend(figure)) == 6


def test_logarithmic_reversed_and_whole_axes():
    axes = axes_of(chart(THREE, x=Axis(is_log=True), y=Axis(is_reversed=True)))
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
    low, high = axes.get_ylim()
    assert low > high
    axes = axes_of(chart(THREE, x=Axis(is_integer=True)))
    assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_an_axis_over_one_whole_number_ticks_it_alone():
    one = Series(name="three", look=LOOK, x=(5.0, 5.0), y=(1.0, 2.0))
    axes = axes_of(chart(one, x=Axis(is_integer=True)))
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [5.0]


def test_limits_are_kept():
    axes = axes_of(chart(THREE, x=Axis(limits=(-1.0, 9.0)), y=Axis(limits=(0.0, 5.0))))
    assert (axes.get_xlim(), axes.get_ylim()) == ((-1.0, 9.0), (0.0, 5.0))


def test_short_names_are_level_long_ones_broken_and_what_cannot_be_broken_aslant():
    def rotation(names: list[str]) -> tuple[float, list[str]]:
        ticks = tuple((float(i), name) for i, name in enumerate(names))
        labels = axes_of(chart(THREE, x=Axis(ticks=ticks))).get_xticklabels()
        return labels[0].get_rotation(), [label.get_text() for label in labels]

    assert rotation(["lrp", "grad"]) == (0.0, ["lrp", "grad"])
    many = ["integrated gradients"] * 7
    assert rotation(many) == (0.0, ["integrated\ngradients"] * 7)
    assert rotation(["integratedgradients"] * 12) == (35.0, ["integratedgradients"] * 12)


def test_panels_of_a_row_share_their_vertical_axis_if_they_should():
    higher = Series(name="three", look=LOOK, x=(1.0,), y=(90.0,))
    panels = tuple(
        Panel(title="", x=Axis(), y=Axis(title="y"), series=(one,)) for one in (THREE, higher)
    )
    apart = static.draw(Chart(rows=(panels,), caption="c")).axes
    assert apart[0].get_ylim() != apart[1].get_ylim()
    assert [axes.get_ylabel() for axes in apart] == ["y", "y"]
    shared = static.draw(Chart(rows=(panels,), caption="c", shares_y=True)).axes
    assert shared[0].get_ylim() == shared[1].get_ylim()
    assert [axes.get_ylabel() for axes in shared] == ["y", ""]


def test_words_stand_at_their_place_or_in_the_middle():
    words = (Text(x=2.0, y=1.5, words="here"), Text(x=None, y=2.0, words="nowhere"))
    axes = axes_of(chart(THREE, texts=words))
    here, nowhere = axes.texts
    assert (here.get_text(), here.get_position()) == ("here", (2.0, 1.5))
    x, _ = axes.transAxes.inverted().transform(
        nowhere.get_transform().transform(nowhere.get_position())
    )
    assert x == pytest.approx(0.5)


def test_rows_may_differ_in_length_and_have_heights():
    panel = Panel(title="t", x=Axis(), y=Axis(), series=(THREE,))
    figure = static.draw(Chart(rows=((panel, panel), (panel,)), caption="c", heights=(1.5, 3.0)))
    boxes = [axes.get_position() for axes in figure.axes]
    assert len(boxes) == 3
    assert boxes[2].x0 == pytest.approx(boxes[0].x0)
    assert boxes[2].height > 1.8 * boxes[0].height
