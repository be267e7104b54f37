"""Each figure: what stands in it, as a chart, and drawn by Matplotlib."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.text import Text

from study import figures
from study.figures import static
from study.figures.style import look, looks, styled
from study.sensitivity import (
    OCCLUSION_ORDERS,
    read_attribution_maps,
    robustness,
    sweep_curve,
    workloads,
)
from tests.study.figures.charts import CHARTS, TABLE, chart_of, figure_of
from tests.support.trial_tables import constant_table, occluded, write_maps

MAPS = "attribution_maps"
ALL = (*CHARTS, MAPS)


def maps_figure(folder: Path, channels: int = 1) -> Figure:
    write_maps(TABLE, folder, samples=4, channels=channels)
    return figures.attribution_maps.draw(
        read_attribution_maps(TABLE, folder, ("base", "challenger"))
    )


def seen(name: str, folder: Path) -> Figure:
    """Give a figure that tests may look at and render."""
    return maps_figure(folder) if name == MAPS else figure_of(name)


def drawn(name: str, folder: Path) -> Figure:
    """Draw a figure anew."""
    return maps_figure(folder) if name == MAPS else static.draw(chart_of(name))


@pytest.mark.parametrize("name", ALL)
def test_a_figure_is_saved_as_png_and_svg_with_n_and_spread_in_its_caption(
    name: str, tmp_path: Path
):
    shown = seen(name, tmp_path)
    assert figures.render(shown, "png").startswith(b"\x89PNG")
    assert ET.fromstring(figures.render(shown, "svg")).tag.endswith("svg")
    caption = shown.get_supxlabel().replace("\n", " ")
    assert re.search(r"\bn = \d+\b|\b\d+ replicas|one replica each|over \d+ datasets", caption)


@pytest.mark.parametrize("name", ALL)
def test_nothing_written_in_a_figure_overlaps_or_is_cut_off(name: str, tmp_path: Path):
    shown = seen(name, tmp_path)
    with styled():
        FigureCanvasAgg(shown).draw()
    texts = _texts(shown)
    boxes = [text.get_window_extent() for text in texts]
    for index, box in enumerate(boxes):
        assert shown.bbox.x0 - 1 <= box.x0, texts[index]
        assert box.x1 <= shown.bbox.x1 + 1, texts[index]
        assert shown.bbox.y0 - 1 <= box.y0, texts[index]
        assert box.y1 <= shown.bbox.y1 + 1, texts[index]
        for place, other in enumerate(boxes[index + 1 :], start=index + 1):
            if _is_slanted(texts[index]) and _is_slanted(texts[place]):
                continue  # the boxes of slanted names overlap where the names do not
            assert not box.padded(-1).overlaps(other.padded(-1)), (texts[index], texts[place])


@pytest.mark.parametrize("name", ALL)
def test_drawing_twice_gives_the_same_bytes_and_leaves_the_settings_alone(
    name: str, tmp_path: Path
):
    before = dict(mpl.rcParams)
    first, second = seen(name, tmp_path), drawn(name, tmp_path)
    for kind in ("png", "svg"):
        assert figures.render(first, kind) == figures.render(second, kind)
    assert dict(mpl.rcParams) == before


def test_a_figure_is_laid_out_once_for_all_its_files(monkeypatch: pytest.MonkeyPatch):
    laid_out = []
    execute = ConstrainedLayoutEngine.execute

    def counted(engine: ConstrainedLayoutEngine, of: Figure) -> object:
        laid_out.append(of)
        return execute(engine, of)

    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", counted)
    shown = static.draw(chart_of("dimension_curve"))
    figures.render(shown, "png")
    figures.cut_caption(shown, figures.render(shown, "svg"))
    assert laid_out == [shown]


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_figure_can_be_rendered_without_its_caption_and_with_it_again(kind: str):
    shown = figure_of("dimension_curve")
    with_caption = figures.render(shown, kind)
    without = figures.render_without_caption(shown, kind)
    assert len(without) < len(with_caption)
    assert figures.render(shown, kind) == with_caption


@pytest.mark.parametrize("name", ["dimension_curve", "transfer"])
def test_the_caption_is_cut_out_of_an_svg_without_drawing_it_anew(name: str):
    shown = figure_of(name)
    svg = figures.render(shown, "svg")
    cut, anew = figures.cut_caption(shown, svg), figures.render_without_caption(shown, "svg")
    assert len(cut) < len(svg)
    assert _size(cut) == pytest.approx(_size(anew), abs=0.01)
    assert _size(cut)[1] < _size(svg)[1]
    tree = ET.fromstring(cut)
    defined = {node.get("id") for node in tree.iter()}
    used = {
        value.removeprefix("#")
        for node in tree.iter()
        for key, value in node.items()
        if key.endswith("href")
    }
    assert used <= defined


def test_the_curve_has_two_panels_with_units_whole_ticks_and_both_controls():
    shown = figure_of("dimension_curve")
    left, right = shown.axes
    assert left.get_ylabel() == "Test accuracy [%]"
    assert right.get_ylabel() == "Test AUC [%]"
    assert left.get_xlabel() == "Classes whose attribution may be drawn, K"
    assert all(float(tick).is_integer() for tick in left.get_xticks())
    names = [text.get_text() for text in shown.legends[0].get_texts()]
    assert names == ["Base", "Random", "Challenger", "chosen by the search"]


def test_the_curve_draws_the_records_means_in_per_cent():
    curve = sweep_curve(TABLE, "challenger", "top_k", "test/accuracy")
    line = _line(figure_of("dimension_curve").axes[0], "Challenger")
    np.testing.assert_allclose(line.get_xdata(), range(1, 11))
    np.testing.assert_allclose(
        line.get_ydata(), [point.interval.mean * 100 for point in curve.points]
    )


def test_the_curves_caption_names_interval_params_and_what_is_missing():
    table = constant_table({"challenger": {2: (0.1, 0.2), 1: (0.3, 0.4)}})
    curve = sweep_curve(table, "challenger", "top_k", "test/accuracy")
    assert figures.dimension_curve.caption(curve) == (
        "Challenger over K: mean of n = 2 replicas on fresh seeds, band: 95% Student's t "
        "interval of the mean. Ring: the value that the search chose (2). The study has no base "
        "arm on mnist (3 per class) with vgg11, width 0.25. The study has no random arm on mnist "
        "(3 per class) with vgg11, width 0.25."
    )


def test_values_that_are_texts_are_named_on_the_axis():
    table = constant_table({"challenger": {"lrp": (0.1, 0.2), "grad": (0.3, 0.4)}})
    curve = sweep_curve(table, "challenger", "top_k", "test/accuracy")
    (axes,) = static.draw(figures.dimension_curve.chart([curve])).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["lrp", "grad"]


def test_red_is_positive_blue_negative_and_each_scale_symmetric(tmp_path: Path):
    figure = maps_figure(tmp_path)
    images = [axes.images[0] for axes in figure.axes if axes.get_xlabel().startswith("pred.")]
    assert len(images) == 8
    for image in images:
        low, high = image.get_clim()
        assert low == -high
        assert high == pytest.approx(np.abs(np.asarray(image.get_array())).max())
        red, _, blue, _ = image.cmap(image.norm(high))
        assert red > blue


def test_images_of_three_channels_are_shown_in_color(tmp_path: Path):
    image = maps_figure(tmp_path, channels=3).axes[0].images[0]
    assert np.asarray(image.get_array()).shape == (28, 28, 3)


def test_states_of_trials_have_their_own_markers():
    shown = figure_of("search_history")
    names = [text.get_text() for text in shown.legends[0].get_texts()]
    assert set(names) == {"completed", "stopped early", "failed (no value)", "best so far"}


def test_robustness_has_a_panel_for_each_order_on_one_scale_and_a_line_per_arm():
    shown = figure_of("robustness")
    left, right = shown.axes
    assert [axes.get_title(loc="left") for axes in (left, right)] == [
        "Hidden at random",
        "Hidden most relevant first",
    ]
    assert left.get_ylabel() == "Test accuracy [%]"
    assert left.get_ylim() == right.get_ylim()
    assert [axes.get_xlabel() for axes in (left, right)] == [
        "Hidden share of the positions [%]"
    ] * 2
    names = [text.get_text() for text in shown.legends[0].get_texts()]
    assert names == ["Base", "Random", "Challenger"]


def test_robustness_draws_the_records_means_and_intervals_in_per_cent():
    table = occluded(TABLE)
    record = robustness(table, workloads(table)[0])
    figure = static.draw(figures.robustness.chart(record))
    for axes, order in zip(figure.axes, OCCLUSION_ORDERS, strict=True):
        curve = record.curves_for(order)[2]
        line = _line(axes, "Challenger")
        np.testing.assert_allclose(line.get_xdata(), [0, 10, 30, 60])
        np.testing.assert_allclose(
            line.get_ydata(), [point.interval.mean * 100 for point in curve.points]
        )
        corners = axes.collections[2].get_paths()[0].vertices
        for point in curve.points:
            for end in (point.interval.low, point.interval.high):
                assert np.isclose(corners, [point.share * 100, end * 100]).all(axis=1).any()


def test_the_caption_of_robustness_says_what_is_hidden_and_what_is_missing():
    table = occluded(constant_table({"base": {0: (0.5, 0.6)}, "challenger": {5: (0.7, 0.8)}}))
    record = replace(robustness(table, workloads(table)[0]), notes=("A note.",))
    assert figures.robustness.caption(record) == (
        "Test accuracy on mnist (3 per class), vgg11, width 0.25, with a share of each sample's "
        "positions set to 0: mean of n = 2 replicas of the chosen configuration on fresh seeds, "
        "band: 95% Student's t interval of the mean. Most relevant: highest ε-LRP relevance of "
        "the true class in the whole sample, by each model itself. Padding is neither hidden nor "
        "counted. A note."
    )


def test_methods_have_their_own_looks_and_repeated_ones_differ():
    given = looks(["base", "random", "challenger", "challenger", "new", "challenger"])
    assert len(set(given)) == 6
    assert given[2] == look("challenger")
    assert len({(one.marker, one.line) for one in given}) == 6


def _size(svg: bytes) -> list[float]:
    return [float(number) for number in ET.fromstring(svg).attrib["viewBox"].split()[2:]]


def _is_slanted(text: Text) -> bool:
    return text.get_rotation() % 90 != 0


def _texts(figure: Figure) -> list[Text]:
    found = [text for axes in figure.axes if axes.get_visible() for text in _texts_of(axes)]
    legends = [text for legend in figure.legends for text in legend.get_texts()]
    captions = figure.findobj(lambda artist: artist.get_gid() == "caption")
    shown = [text for text in (*found, *legends) if text.get_text() and text.get_visible()]
    return [*shown, *captions]


def _texts_of(axes: Axes) -> list[Text]:
    low, high = sorted(axes.get_xlim())
    ticks = [
        label
        for label, place in zip(axes.get_xticklabels(), axes.get_xticks(), strict=True)
        if low <= place <= high
    ]
    low, high = sorted(axes.get_ylim())
    if axes.yaxis.get_tick_params()["labelleft"]:
        named = zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)
        ticks += [label for label, place in named if low <= place <= high]
    titles = [axes.title, axes._left_title]  # type: ignore[attr-defined]
    return [axes.xaxis.label, axes.yaxis.label, *titles, *ticks]


def _line(axes: Axes, label: str) -> Line2D:
    return next(line for line in axes.lines if line.get_label() == label)
