"""The report as Markdown: whole, with figures as files and tables that a table's text keeps."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from study.report import ReportFiles, write_report
from study.report.markdown import plain, report_markdown, table_markdown
from study.report.summary import summarise, to_markdown
from study.report.tables import Table
from tests.study.factories import Shape, hand_made, trial_table, write_maps

TABLE = trial_table(Shape(replicas=3, layers=1, sweep=(1, 5), search_trials=4))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    folder = tmp_path_factory.mktemp("study")
    write_maps(TABLE, folder)
    return write_report(TABLE, folder, folder / "report", page_format="md")


def test_it_lies_beside_the_page_and_is_what_was_asked_for(files: ReportFiles):
    assert files.page.name == "report.md"
    assert files.html.name == "report.html"
    assert files.page.parent == files.html.parent
    assert files.html.exists()


def test_without_being_asked_for_it_is_not_written(tmp_path: Path):
    files = write_report(hand_made({"base": {0: (0.4, 0.5)}}), tmp_path, tmp_path / "out")
    assert files.page == files.html
    assert not list((tmp_path / "out").glob("report.md"))


def test_every_figure_is_a_link_to_its_file_beside_the_text(files: ReportFiles):
    links = re.findall(r"!\[.*?\]\(([^)]*)\)", files.page.read_text())
    drawn = {path.name for paths in files.figures.values() for path in paths}
    assert set(links) == {name for name in drawn if name.endswith(".png")}
    assert len(links) == len(set(links))
    assert all((files.page.parent / link).exists() for link in links)


def test_it_begins_with_the_summary(files: ReportFiles):
    summary = summarise(TABLE, files.missing)
    assert files.page.read_text().startswith(to_markdown(summary).rstrip())


def test_every_row_has_as_many_cells_as_its_table(files: ReportFiles):
    tables = re.findall(r"(?:^\|.*\|\n)+", files.page.read_text(), re.MULTILINE)
    assert len(tables) > 3
    for table in tables:
        head, rule, *rows = table.splitlines()
        cells = [len(re.split(r"(?<!\\)\|", row)) for row in (head, rule, *rows)]
        assert len(set(cells)) == 1
        assert set(rule) == {"|", " ", "-"}


def test_a_table_has_title_rows_and_note():
    table = Table(
        title="A_title", columns=("Arm", "[%]"), rows=(("a|b", "1"), ("c", "two\nlines")), note="n"
    )
    assert list(table_markdown(table)) == [
        "### A\\_title",
        "| Arm | \\[%\\] |\n| --- | --- |\n| a\\|b | 1 |\n| c | two lines |",
        "_n_",
    ]


def test_what_markdown_would_read_is_shown_as_it_is():
    assert plain("a*b_c `d` <e> [f](g) #h \\i") == (r"a\*b\_c \`d\` \<e\> \[f\](g) \#h \\i")


def test_failures_and_environment_are_named():
    table = replace(TABLE, environment={"torch": "2.0", "hardware": "a_b"})
    text = report_markdown(table, summarise(table), [])
    assert "## Environment\n\n- hardware: a\\_b\n- torch: 2.0\n" in text
    assert "## Failures" not in text
    failed = trial_table(Shape(replicas=2, layers=1, sweep=(), search_trials=8))
    text = report_markdown(failed, summarise(failed), [])
    assert "loss is not finite at epoch 4 for seed 1" in text.partition("## Failures")[2]


def test_a_study_without_environment_says_so():
    table = replace(TABLE, environment={})
    assert report_markdown(table, summarise(table), []).endswith(
        "## Environment\n\nNot recorded.\n"
    )
