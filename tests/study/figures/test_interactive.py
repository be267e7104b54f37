"""What a chart says, drawn by Plotly: the same as Matplotlib draws, and words for a pointer."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from copy import deepcopy
from itertools import groupby
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from study import figures
from study.figures import interactive
from study.figures.chart import Axis, Chart, Level, Panel, Series
from study.figures.extent import extents
from study.figures.interactive_sheet import legend_names
from study.figures.style import Look
from study.sensitivity import sweep_curve
from tests.study.figures.charts import CHARTS, TABLE, chart_of, figure_of

LOOK = Look(color="#0072B2", marker="^", line="--")
ONE = Series(name="one <b>", look=LOOK, x=(1.0, 2.0), y=(3.0, 4.0))


def simple(*series: Series, x: Axis = Axis(), y: Axis = Axis(), **panel: object) -> Chart:  # noqa: B008
    one = Panel(title="", x=x, y=y, series=series, **panel)  # type: ignore[arg-type]
    return Chart(rows=((one,),), caption="c")


def named(figure: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [trace for trace in figure["data"] if trace["name"] == name]


def colors(value: object, key: str = "") -> Iterator[str]:
    """Give every color of a figure."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from colors(one, name)
    elif isinstance(value, list):
        for one in value:
            yield from colors(one, key)
    elif key.lower().endswith("color") and isinstance(value, str):
        yield value


def lines_of(axes: Axes) -> Iterator[list[tuple[float, float]]]:
    """Give the points of every line of a panel."""
    for line in axes.lines:
        yield list(zip(line.get_xdata(), line.get_ydata(), strict=True))
    for collection in axes.collections:
        if isinstance(collection, LineCollection):
            for segment in collection.get_segments():
                yield [(x, y) for x, y in segment.tolist()]


def test_every_file_of_a_figure_is_among_the_charts():
    folder = Path(figures.__file__).parent
    found = {
        path.stem
        for path in folder.glob("*.py")
        if re.search(r"^def \w+\([^)]*\) -> Chart:", path.read_text(), re.MULTILINE | re.DOTALL)
    }
    assert found == {name.split(" ")[0] for name in CHARTS}


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("is_narrow", [False, True])
def test_a_figure_is_what_plotly_knows_and_the_same_every_time(name, is_narrow):
    figure = interactive.draw(chart_of(name), is_narrow=is_narrow)
    # Plotly changes what it is given.
    assert go.Figure(deepcopy(figure)).to_plotly_json()["layout"]["height"] > 150
    again = interactive.draw(chart_of(name), is_narrow=is_narrow)
    assert json.dumps(figure) == json.dumps(again)


@pytest.mark.parametrize("name", CHARTS)
def test_only_the_layout_is_another_on_a_phone(name):
    chart = chart_of(name)
    wide, narrow = interactive.draw(chart), interactive.draw(chart, is_narrow=True)
    assert wide["data"] == narrow["data"]
    domains = [v["domain"] for k, v in narrow["layout"].items() if k.startswith("xaxis")]
    assert domains == [[0, 1]] * len(list(chart.panels()))
    assert narrow["layout"]["dragmode"] is False


@pytest.mark.parametrize("name", CHARTS)
def test_both_renderers_name_the_same_in_the_same_order(name):
    chart = chart_of(name)
    figure = interactive.draw(chart)
    shown = [trace["name"] for trace in figure["data"] if trace["showlegend"]]
    names = [text.get_text() for legend in figure_of(name).legends for text in legend.get_texts()]
    assert shown == names == legend_names(chart)


@pytest.mark.parametrize("name", CHARTS)
def test_both_renderers_draw_the_same_points_between_the_same_ends(name):
    chart = chart_of(name)
    figure, axes = interactive.draw(chart), figure_of(name).axes
    ends = [one for row in extents(chart) for one in row]
    for number, (panel, own) in enumerate(zip(chart.panels(), ends, strict=True)):
        assert sorted(axes[number].get_xlim()) == pytest.approx(own[0])
        assert sorted(axes[number].get_ylim()) == pytest.approx(own[1])
        key = "" if number == 0 else str(number + 1)
        traces = [t for t in figure["data"] if t["xaxis"] == f"x{key}" and "fill" not in t]
        drawn = list(lines_of(axes[number]))
        for series in panel.series:
            y = [None if math.isnan(value) else value for value in series.y]
            assert any(t["x"] == [*series.x] and t["y"] == y for t in traces)
            pieces = [
                list(piece)
                for is_gap, piece in groupby(
                    zip(series.x, series.y, strict=True), lambda point: math.isnan(point[1])
                )
                if not is_gap
            ]
            assert all(piece in drawn for piece in pieces)


@pytest.mark.parametrize("name", CHARTS)
def test_colors_are_whole_so_that_a_page_can_put_its_own_in_their_place(name):
    figure = interactive.draw(chart_of(name))
    assert {color for color in colors(figure) if not re.fullmatch("#[0-9a-fA-F]{6}", color)} == {
        "rgba(0,0,0,0)"
    }
    assert figure["layout"]["paper_bgcolor"] == figure["layout"]["plot_bgcolor"] == "rgba(0,0,0,0)"


@pytest.mark.parametrize("name", CHARTS)
def test_panels_stand_apart_in_their_order(name):
    chart = chart_of(name)
    for is_narrow in (False, True):
        layout = interactive.draw(chart, is_narrow=is_narrow)["layout"]
        numbers = ["", *map(str, range(2, len(list(chart.panels())) + 1))]
        boxes = [(*layout[f"xaxis{n}"]["domain"], *layout[f"yaxis{n}"]["domain"]) for n in numbers]
        for i, (left, right, low, high) in enumerate(boxes):
            assert 0 <= left < right <= 1
            assert 0 <= low < high <= 1
            for other_left, _, _, other_high in boxes[i + 1 :]:
                assert other_left > right or other_high < low


def test_a_pointer_is_told_name_value_interval_and_n():
    curve = sweep_curve(TABLE, "challenger", "top_k", "test/accuracy")
    figure = interactive.draw(chart_of("dimension_curve"))
    line = next(t for t in named(figure, "Challenger") if t["mode"] == "lines+markers")
    first = curve.points[0].interval
    assert line["hovertext"][0] == (
        f"<b>Challenger</b><br>K = 1<br>{first.mean * 100:.1f}% "
        f"[{first.low * 100:.1f}, {first.high * 100:.1f}], n = 3"
    )
    base = curve.controls[0].interval
    level = next(t for t in named(figure, "Base") if "fill" not in t)
    assert level["hovertext"] == (
        f"<b>Base</b><br>{base.mean * 100:.1f}% [{base.low * 100:.1f}, {base.high * 100:.1f}], "
        "n = 3"
    )


def test_without_words_a_pointer_is_told_the_coordinates_and_the_interval():
    series = Series(
        name="one", look=LOOK, x=(1.0, 2.0), y=(3.0, -4.25), low=(2.0, -5.0), high=(4.0, -4.0)
    )
    axis = Axis(title="Arm", ticks=((1.0, "first\none"), (2.0, "second")))
    (_, line) = interactive.draw(simple(series, x=axis, y=Axis(title="Gain")))["data"]
    assert line["hovertext"] == [
        "<b>one</b><br>Arm: first one<br>Gain: 3 [2, 4]",
        "<b>one</b><br>Arm: second<br>Gain: −4.25 [−5, −4]",
    ]


def test_words_without_an_interval_get_it_and_words_with_one_are_left_alone():
    series = Series(
        name="", look=LOOK, x=(1.0, 2.0), y=(3.0, 4.0), low=(2.0, 3.0), high=(4.0, 5.0),
        hover=("trial 1", "trial 2: 4 [3, 5]"),
    )  # fmt: skip
    (_, line) = interactive.draw(simple(series))["data"]
    assert line["hovertext"] == ["trial 1 [2, 4]", "trial 2: 4 [3, 5]"]


def test_names_are_shown_as_they_are_and_not_read_as_html():
    (trace,) = interactive.draw(simple(ONE, x=Axis(title="<i>x</i>")))["data"]
    assert trace["name"] == "one &lt;b&gt;"
    assert trace["hovertext"][0].startswith("<b>one &lt;b&gt;</b>")
    title = interactive.draw(simple(ONE, x=Axis(title="<i>x</i>")))["layout"]["xaxis"]["title"]
    assert title["text"] == "&lt;i&gt;x&lt;/i&gt;"


def test_intervals_of_points_are_bars_and_those_of_lines_bands():
    given = {"look": LOOK, "x": (1.0,), "y": (3.0,), "low": (2.5,), "high": (4.0,)}
    (points,) = interactive.draw(simple(Series(name="p", mark="points", **given)))["data"]
    assert (points["mode"], points["marker"]["symbol"]) == ("markers", "triangle-up")
    assert (points["error_y"]["array"], points["error_y"]["arrayminus"]) == ([1.0], [0.5])
    band, line = interactive.draw(simple(Series(name="l", **given)))["data"]
    assert (band["fill"], band["hoverinfo"], band["showlegend"]) == ("toself", "skip", False)
    assert (band["x"], band["y"]) == ([1, 1], [4.0, 2.5])
    assert (line["line"]["dash"], line["legendgroup"], band["legendgroup"]) == ("dash", "l", "l")


def test_bars_along_the_horizontal_axis():
    series = Series(
        name="p", look=LOOK, x=(3.0,), y=(1.0,), low=(2.5,), high=(4.0,), spread="x", mark="points"
    )
    (points,) = interactive.draw(simple(series))["data"]
    assert (points["error_x"]["array"], points["error_x"]["arrayminus"]) == ([1.0], [0.5])
    assert "error_y" not in points


def test_steps_hollow_markers_and_rings():
    steps = Series(name="s", look=LOOK, x=(1.0, 2.0), y=(1.0, 2.0), mark="steps")
    hollow = Series(
        name="h", look=LOOK, x=(1.0, 2.0), y=(1.0, 2.0), mark="points", is_hollow=True, ringed=(1,)
    )
    drawn, points, ring = interactive.draw(simple(steps, hollow))["data"]
    assert (drawn["mode"], drawn["line"]["shape"]) == ("lines", "hv")
    assert points["marker"]["color"] == "#ffffff"
    assert points["marker"]["line"]["color"] == "#0072B2"
    assert (ring["x"], ring["y"], ring["name"]) == ([2.0], [2.0], "chosen by the search")


def test_a_level_crosses_its_panel_and_one_without_a_name_says_nothing():
    levels = (
        Level(name="Base", look=LOOK, value=3.5),
        Level(name="", look=LOOK, value=1.5, axis="x"),
    )
    figure = interactive.draw(simple(ONE, levels=levels))
    flat, upright, _ = figure["data"]
    assert (set(flat["y"]), set(upright["x"])) == ({3.5}, {1.5})
    assert [flat["x"][0], flat["x"][-1]] == figure["layout"]["xaxis"]["range"]
    assert (flat["hovertext"], upright["hoverinfo"]) == ("<b>Base</b><br>3.5", "skip")


def test_logarithmic_and_reversed_axes_and_names():
    panel = {"x": Axis(is_log=True), "y": Axis(is_reversed=True, ticks=((3.0, "a"), (4.0, "b")))}
    layout = interactive.draw(simple(ONE, **panel))["layout"]
    assert layout["xaxis"]["type"] == "log"
    low, high = layout["xaxis"]["range"]
    assert low < 0 < high < 0.5
    assert layout["yaxis"]["range"] == [4.5, 2.5]
    assert (layout["yaxis"]["tickvals"], layout["yaxis"]["ticktext"]) == ([3.0, 4.0], ["a", "b"])


def test_panels_that_share_an_axis_are_moved_together():
    layout = interactive.draw(chart_of("robustness"))["layout"]
    assert layout["yaxis2"]["matches"] == "y"
    assert layout["yaxis2"]["showticklabels"] is False
    assert "matches" not in interactive.draw(chart_of("dimension_curve"))["layout"]["yaxis2"]


@pytest.mark.parametrize(
    ("look", "message"),
    [
        (Look(color="#000000", marker="8", line="-"), "no symbol for marker '8'; use one of"),
        (Look(color="#000000", marker="o", line="- -"), "no dashes for line '- -'; use one of"),
    ],
)
def test_a_look_that_plotly_has_no_name_for_is_refused(look, message):
    with pytest.raises(ValueError, match=message):
        interactive.draw(simple(Series(name="a", look=look, x=(1.0,), y=(1.0,))))
