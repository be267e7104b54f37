"""The page's scripts: two, known by their hashes, and data that cannot become one."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

import altair as alt
import pandas as pd
import pytest
import vl_convert

from study import figures
from study.figures import Figure, ReportSource, Subject
from study.figures.marks import Axis, Plane, grid, panel, points
from study.figures.rendering import to_json
from study.figures.theme import look_of
from study.records.frames import Row, Tabular
from study.report import write_report
from study.report.markdown import summarize
from study.report.page import EXPORT, page_script, render_page
from study.report.panel import RenderedFigure, ReportPanel, render_panel
from tests.study.figures.charts import panel_of
from tests.support.trial_tables import TableShape, constant_table, make_trial_table

TABLE = make_trial_table(TableShape(replicas=3, layers=2, sweep=(1, 3, 5)))
NAMES = (
    "sweep_of_arms",
    "layers_over_epochs",
    "sweep_curve",
    "layer_differences",
    "layers_over_dimension",
    "occlusion_lines",
    "trial_history",
    "trial_slices",
    "parallel_coordinates of many",
    "transfer_dots",
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


def some_panels(count: int) -> list[ReportPanel]:
    return [panel_of(name) for name in NAMES[:count]]


def page(
    shown: list[ReportPanel], rendered: dict[str, RenderedFigure | None] | None = None
) -> str:
    empty = {one.name: RenderedFigure(png=b"", svg=b"", data_uri="data:,") for one in shown}
    return render_page(TABLE, summarize(TABLE), shown, rendered or empty)


def digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_policy_lets_two_scripts_run_and_nothing_be_loaded():
    found = Scripts(page(some_panels(2)))
    (own,) = found.of(None)
    vega = vl_convert.javascript_bundle(EXPORT)
    assert dict(rule.split(" ", 1) for rule in found.policy.split("; ")) == {
        "default-src": "'none'",
        "img-src": "data: blob:",
        "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest(own)}' 'sha256-{digest(vega)}'",
    }


def test_vega_is_there_once_and_packed():
    (packed,) = Scripts(page(some_panels(3))).of("text/plain")
    text = gzip.decompress(base64.b64decode(packed)).decode()
    assert "vegaEmbed" in text
    assert len(packed) < 450_000


def test_a_page_without_figures_has_no_script_and_lets_none_run():
    found = Scripts(page([]))
    assert found.found == []
    assert "script-src" not in found.policy


def test_every_figure_has_its_specification():
    shown = some_panels(3)
    *written, theme = Scripts(page(shown)).of("application/json")
    specs = [json.loads(text) for text in written]
    assert len(specs) == len(shown)
    assert all(one.spec in specs for one in shown)
    assert set(json.loads(theme)) == {"config", "dark"}


def test_no_name_can_end_the_element_of_the_data():
    name = "</script><script>alert(1)"
    frame = pd.DataFrame([{"arm": name, "x": 1, "y": 1}])
    plane = Plane(x=Axis(), y=Axis(), looks={name: look_of("base")})
    made = grid([panel(points(frame, plane), title="<!--")], columns=1, least=100)
    spec = figures.rendering.specification(made)
    evil = ReportPanel(
        name="evil", title="e", arms=(), place="result", spec=spec, caption="</script>"
    )
    found = Scripts(page([evil]))
    assert [kind for kind, _ in found.found] == [
        "application/json",
        "application/json",
        "text/plain",
        None,
    ]
    assert "<" not in to_json(spec)
    assert "alert(1)" in found.of("application/json")[0]


def test_a_number_that_is_not_finite_is_refused_rather_than_breaking_the_page():
    with pytest.raises(ValueError, match="JSON"):
        to_json({"value": float("nan")})


def test_a_page_of_ten_figures_is_below_two_and_a_half_megabytes():
    shown = some_panels(10)
    text = page(shown, {one.name: render_panel(one) for one in shown})
    assert text.count('class="still"') == text.count('class="live"') == 10
    assert len(text.encode()) < 2_500_000


def test_a_figure_stands_in_the_page_as_svg_without_its_words():
    (one, *_) = some_panels(3)[2:]
    shown = render_panel(one)
    assert shown is not None
    assert shown.png.startswith(b"\x89PNG")
    kind, _, content = shown.data_uri.partition(";base64,")
    assert kind == "data:image/svg+xml"
    assert len(base64.b64decode(content)) < len(shown.svg)
    assert b"replicas on fresh seeds" in shown.svg


def test_the_script_is_made_once():
    assert page_script() is page_script()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted(Tabular):
    """Number of final trials of an arm."""

    arm: str
    count: int

    def frame_rows(self) -> Iterator[Row]:
        yield {"arm": self.arm, "x": self.count, "y": 1}


def _subjects(source: ReportSource) -> Iterator[Subject]:
    for arm in source.table.arms:
        count = len(source.table.select(arm.name, "final"))
        yield Subject(
            title=f"Final trials of {arm.name}",
            name=("final-trials", arm.name),
            arms=(arm.name,),
            read=lambda arm=arm, count=count: Counted(arm=arm.name, count=count),  # type: ignore[misc]
        )


def _chart(record: Counted) -> alt.ConcatChart:
    plane = Plane(x=Axis(title="Trials"), y=Axis(), looks={record.arm: look_of(record.arm)})
    return grid([panel(points(record.to_frame(), plane))], columns=1, least=200)


def test_a_figure_is_added_by_its_record_its_chart_and_a_line(tmp_path, monkeypatch):
    one = Figure(subjects=_subjects, chart=_chart, caption=lambda record: f"n = {record.count}.")
    monkeypatch.setitem(figures.FIGURES, "final_trials", one)
    table = constant_table({"base": {0: (0.4, 0.5)}, "challenger": {5: (0.5, 0.6)}})
    files = write_report(table, tmp_path, tmp_path / "out")
    stem = "final-trials-challenger"
    assert {f"{stem}.png", f"{stem}.svg"} <= {p.name for p in files.figures["challenger"]}
    assert (tmp_path / f"out/{stem}.csv").read_text().splitlines()[0].startswith("arm,x,y")
    text = files.html.read_text()
    assert f'<h3 id="{stem}">Final trials of challenger</h3>' in text
    assert "n = 1." in text
