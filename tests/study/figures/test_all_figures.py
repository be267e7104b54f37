"""What holds of every figure: valid, finite, rendered without a warning, the same every time."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import vl_convert

from study.figures import FIGURES
from study.figures.rendering import (
    Specification,
    fitted,
    specification,
    to_json,
    to_png,
    to_svg,
    with_words,
)
from study.figures.theme import config, distinct_looks, look_of, on_dark_paper
from tests.study.figures.charts import RECORDS, maps, record_of, spec_of

MAPS = "relevance_maps"
ALL = (*RECORDS, MAPS)


def seen(name: str, folder: Path) -> Specification:
    if name == MAPS:
        return specification(FIGURES[MAPS].chart(maps(folder)))
    return spec_of(name)


def test_every_figure_has_a_record_here():
    assert {name.partition(" ")[0] for name in ALL} == set(FIGURES)


@pytest.mark.parametrize("name", ALL)
def test_a_figure_is_rendered_as_png_and_svg_without_a_warning(name, tmp_path, capfd):
    spec = seen(name, tmp_path)
    vl_convert.vegalite_to_svg(fitted(spec, 860), config=config(), show_warnings=True)
    svg = with_words(to_svg(spec), "A title", "A caption")
    assert capfd.readouterr().err == ""
    assert ET.fromstring(svg).tag.endswith("svg")
    assert to_png(svg).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["sweep_curve", "forest_plot", "parallel_coordinates", MAPS])
def test_a_figure_is_valid_by_the_schema_of_vega_lite(name, tmp_path):
    record = maps(tmp_path) if name == MAPS else record_of(name)
    assert specification(FIGURES[name].chart(record), validate=True)


@pytest.mark.parametrize("name", ALL)
def test_every_number_is_finite_and_drawing_twice_gives_the_same(name, tmp_path):
    figure = FIGURES[name.partition(" ")[0]]
    record = maps(tmp_path) if name == MAPS else record_of(name)
    first, second = (to_json(specification(figure.chart(record))) for _ in range(2))
    assert first == second
    assert json.loads(first) == json.loads(json.dumps(seen(name, tmp_path), allow_nan=False))


@pytest.mark.parametrize("name", ALL)
def test_a_caption_says_n(name, tmp_path):
    record = maps(tmp_path) if name == MAPS else record_of(name)
    caption = FIGURES[name.partition(" ")[0]].caption(record)
    assert re.search(r"\bn = \d+\b|\b\d+ replicas|one replica each|over \d+ datasets", caption)


@pytest.mark.parametrize("width", [330, 620, 860])
@pytest.mark.parametrize("name", ["sweep_curve", "layers_over_epochs", "forest_plot"])
def test_a_figure_fills_its_width_with_as_many_columns_as_fit(name, width):
    spec = fitted(spec_of(name), width)
    svg = vl_convert.vegalite_to_svg(spec, config=config())
    drawn = float(re.search(r'viewBox="0 0 ([\d.]+)', svg)[1])  # type: ignore[index]
    assert width - 20 < drawn < width + 2
    least = spec["usermeta"]["least"]
    assert spec["columns"] == 1 or spec["columns"] * least <= width


@pytest.mark.parametrize("name", RECORDS)
def test_no_figure_is_wider_than_a_phone(name):
    svg = vl_convert.vegalite_to_svg(fitted(spec_of(name), 330), config=config())
    assert float(re.search(r'viewBox="0 0 ([\d.]+)', svg)[1]) < 332  # type: ignore[index]


def test_a_specification_is_not_changed_by_being_fitted():
    spec = spec_of("sweep_curve")
    before = copy.deepcopy(spec)
    to_svg(spec, width=400)
    assert spec == before


def test_words_are_escaped_and_wrapped_around_the_picture():
    svg = with_words(to_svg(spec_of("rank_diagram")), "<b> & co", "long " * 100)
    texts = [node.text for node in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "<b> & co"
    assert sum(text.count("long") for text in texts[1:] if text) == 100


def test_methods_have_their_own_looks_and_repeated_ones_differ():
    given = distinct_looks(["base", "random", "challenger", "challenger", "new", "challenger"])
    assert len(set(given)) == 6
    assert given[2] == look_of("challenger")
    assert len({(one.shape, one.dash) for one in given}) == 6


@pytest.mark.parametrize("name", RECORDS)
def test_every_color_of_a_figure_has_another_on_dark_paper(name):
    text = to_json(spec_of(name)) + json.dumps(config())
    assert set(re.findall(r'"(#[0-9a-f]{6})"', text)) <= set(on_dark_paper())
