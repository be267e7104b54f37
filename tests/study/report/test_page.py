"""The page's scripts: two, known by their hashes, and data that cannot become one."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from plotly.offline import get_plotlyjs

from study.figures import interactive
from study.figures.chart import Axis, Chart, Panel, Series
from study.figures.style import look
from study.report.markdown import summarize
from study.report.page import figure_data, page_script, render_page
from study.report.panel import RenderedFigure, ReportPanel, render_panel
from study.report.tables import Table
from tests.study.figures.charts import chart_of
from tests.support.trial_tables import TableShape, make_trial_table

TABLE = make_trial_table(TableShape(replicas=3, layers=2, sweep=(1, 3, 5)))
NAMES = (
    "arm_curves",
    "cosine_over_epochs",
    "dimension_curve",
    "filter_cosine",
    "filter_cosine_over_dimension",
    "robustness",
    "search_history",
    "search_points as slices",
    "search_points as coordinates",
    "transfer",
)


class Scripts(HTMLParser):
    """Collects the scripts of a page by their type, and its policy."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str | None, str]] = []
        self.policy = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script":
            self.found.append((given.get("type"), ""))
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            kind, text = self.found.pop()
            self.found.append((kind, text + data))

    def of(self, kind: str | None) -> list[str]:
        return [text for found, text in self.found if found == kind]


def exhibits(count: int) -> list[ReportPanel]:
    table = Table(title="t", columns=("a",), rows=(("1",),), note="n")
    return [
        ReportPanel(
            name=f"figure-{i}", title=f"Figure {i}", arms=(), chart=chart_of(name), tables=(table,)
        )
        for i, name in enumerate((NAMES * 2)[:count])
    ]


def page(
    shown: list[ReportPanel], rendered: dict[str, RenderedFigure | None] | None = None
) -> str:
    empty = {one.name: RenderedFigure(png=b"", svg=b"", data_uri="data:,") for one in shown}
    return render_page(TABLE, summarize(TABLE), shown, rendered or empty)


@pytest.fixture(scope="module")
def rendered() -> dict[str, RenderedFigure | None]:
    """Render ten figures once."""
    return {exhibit.name: render_panel(exhibit) for exhibit in exhibits(10)}


def digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_policy_lets_two_scripts_run_and_nothing_be_loaded():
    found = Scripts(page(exhibits(2)))
    (own,) = found.of(None)
    assert dict(rule.split(" ", 1) for rule in found.policy.split("; ")) == {
        "default-src": "'none'",
        "img-src": "data: blob:",
        "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest(own)}' 'sha256-{digest(get_plotlyjs())}'",
    }


def test_plotly_is_there_once_and_packed():
    (packed,) = Scripts(page(exhibits(3))).of("text/plain")
    assert gzip.decompress(base64.b64decode(packed)).decode() == get_plotlyjs()
    assert len(packed) < 2_100_000


def test_a_page_without_figures_has_no_script_and_lets_none_run():
    found = Scripts(page([]))
    assert found.found == []
    assert "script-src" not in found.policy


def test_every_figure_has_its_data_and_a_layout_for_either_width():
    shown = exhibits(3)
    written = Scripts(page(shown)).of("application/json")
    assert len(written) == 3
    for exhibit, text in zip(shown, written, strict=True):
        assert exhibit.chart is not None
        wide = interactive.draw(exhibit.chart)
        narrow = interactive.draw(exhibit.chart, is_narrow=True)
        assert json.loads(text) == {
            "data": wide["data"],
            "wide": wide["layout"],
            "narrow": narrow["layout"],
        }


def test_no_name_can_end_the_element_of_the_data():
    series = Series(name="</script><script>alert(1)", look=look("base"), x=(1.0,), y=(1.0,))
    panel = Panel(title="<!--", x=Axis(), y=Axis(), series=(series,))
    evil = ReportPanel(
        name="evil", title="e", arms=(), chart=Chart(rows=((panel,),), caption="</script>")
    )
    found = Scripts(page([evil]))
    assert [kind for kind, _ in found.found] == ["application/json", "text/plain", None]
    assert "<" not in figure_data(evil.chart)  # type: ignore[arg-type]
    assert "alert(1)" in found.of("application/json")[0]


def test_a_page_of_twenty_figures_is_below_six_megabytes(
    rendered: dict[str, RenderedFigure | None],
):
    shown = exhibits(20)
    all_of_them = {one.name: rendered[f"figure-{i % 10}"] for i, one in enumerate(shown)}
    text = page(shown, all_of_them)
    assert text.count('class="still"') == text.count('class="live"') == 20
    assert len(text.encode()) < 6_000_000


def test_figures_are_shown_as_svg_without_caption_and_pixels_as_png(
    rendered: dict[str, RenderedFigure | None],
):
    one = rendered["figure-0"]
    assert one is not None
    assert one.png.startswith(b"\x89PNG")
    kind, _, content = one.data_uri.partition(";base64,")
    assert kind == "data:image/svg+xml"
    assert len(base64.b64decode(content)) < len(one.svg)


def test_pixels_stay_pixels():
    from study.figures import static

    exhibit = ReportPanel(
        name="maps", title="m", arms=(), image=static.draw(chart_of("filter_cosine")), caption="c"
    )
    shown = render_panel(exhibit)
    assert shown is not None
    assert shown.data_uri.startswith("data:image/png;base64,")
    assert exhibit.caption_text == "c"


def test_a_chart_brings_its_own_words():
    (exhibit,) = exhibits(1)
    assert exhibit.chart is not None
    assert exhibit.caption_text == exhibit.chart.caption
    assert replace(exhibit, chart=None).caption_text == ""


def test_the_script_is_read_once():
    assert page_script() is page_script()
