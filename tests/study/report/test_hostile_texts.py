"""Texts of users that are markup, formulas or control sequences elsewhere."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from study.cli.console import print_table, show_results
from study.records.escaping import escape_formula, escape_markdown, visible
from study.records.frames import make_frame, to_csv
from study.records.trial_table import TrialTable
from study.report import ReportFiles, write_report
from study.report.tables import Table
from tests.support.trial_tables import TableShape, make_trial_table, write_maps

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "x\r\n# H1",
    "x\u2028# H1",
    "[link](javascript:alert(1))",
    "&lt;b&gt;",
    "=HYPERLINK(1)",
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "\t=1",
    "\x1b[31mred\x1b]0;title\x07",
    "a\x00b",
    "left\u202eright",
    "</script><!--",
    "{{ 7 * 7 }}",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_terminal_is_told_no_control_sequence(text: str):
    assert visible(visible(text)) == visible(text)
    assert visible(text).replace("\n", "").isprintable()
    table = Table(title=text, columns=("Arm", text), rows=((text, "1"),), note=text)
    console = Console(file=io.StringIO(), width=200)
    print_table(table, console)
    assert console.file.getvalue().replace("\n", "").isprintable()


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_has_no_html_no_link_and_no_new_block(text: str):
    line = escape_markdown(text)
    assert "\n" not in line
    assert line.isprintable()
    assert not re.search(r"(?<!\\)(<[a-z/!]|\]\(|&[a-z]+;|[*`|])", line)
    assert not re.match(r"[-+=#>]|\d+[.)]( |$)", line)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_or_head_of_a_csv_file_is_a_formula(text: str):
    written = to_csv(make_frame([{"arm": text, text: 1}]))
    head, cells = csv.reader(io.StringIO(written, newline=""))
    for cell in (head[1], cells[0]):
        assert cell in (text, f"'{text}")
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_numbers_keep_their_sign_in_a_csv_file():
    assert to_csv(make_frame([{"x": -0.5, "value": -1}, {"x": 1.0, "value": "-2e-3"}])) == (
        "x,value\n-0.5,-1\n1.0,-2e-3\n"
    )
    assert escape_formula("-inf") == "-inf"


def hostile_table() -> TrialTable:
    """Put a hostile text wherever a user's text may stand."""
    table = make_trial_table(TableShape(replicas=2, layers=1, sweep=(1, 5), search_trials=4))
    texts = iter(HOSTILE * 3)
    data = "".join(HOSTILE)
    arms = tuple(
        replace(arm, dataset=data, model=HOSTILE[0], method=arm.method) for arm in table.arms
    )
    rows = tuple(
        replace(row, state="FAIL", reason=next(texts)) if row.phase == "search" else row
        for row in table.rows
    )
    plugin = replace(arms[2], name=HOSTILE[1], method=HOSTILE[11], best_params=None, sweeps={})
    return replace(
        table,
        study=HOSTILE[1],
        arms=(*arms, plugin),
        rows=rows,
        environment={HOSTILE[0]: HOSTILE[11], "commit": HOSTILE[2]},
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    folder = tmp_path_factory.mktemp("study")
    table = hostile_table()
    write_maps(table, folder)
    return write_report(table, folder, folder / "report", page_format="md")


class Elements(HTMLParser):
    """Collects the elements of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_has_no_element_of_a_users(files: ReportFiles):
    page = files.html.read_text(encoding="utf-8")
    elements = Elements(page).found
    scripts = [given.get("type") for tag, given in elements if tag == "script"]
    assert scripts.count(None) == 1
    assert set(scripts) == {None, "application/json", "text/plain"}
    assert all("onerror" not in given for _, given in elements)
    assert all(given.get("class") == "still" for tag, given in elements if tag == "img")
    assert "{{ 7 * 7 }}" in page
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e\u2028]", page)


def test_pictures_are_well_formed_and_markdown_and_csv_are_harmless(files: ReportFiles):
    folder = files.html.parent
    for path in folder.glob("*.svg"):
        assert ET.parse(path).getroot().tag.endswith("svg")
    for path in (files.page, files.summary):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?<!\\)<(script|img|b)", text)
        assert [line for line in text.splitlines() if line.startswith("# ")] == [
            text.splitlines()[0]
        ]
        assert not re.search("[\x00-\x08\x0b-\x1f\u202e\u2028]", text)
    for path in folder.glob("*.csv"):
        for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")):
            for cell in row:
                assert cell == escape_formula(cell)


def test_the_summary_in_the_terminal_is_printable():
    console = Console(file=io.StringIO(), width=200)
    show_results(hostile_table(), console)
    assert console.file.getvalue().replace("\n", "").replace("\u00a0", " ").isprintable()


def test_a_path_of_the_report_is_a_plain_name(files: ReportFiles):
    names = {path.name for path in Path(files.html.parent).iterdir()}
    assert all(re.fullmatch(r"[a-z0-9.-]{1,170}", name) for name in names)
