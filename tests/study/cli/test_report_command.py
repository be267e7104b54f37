"""``report``: the page or its Markdown, of a study whose trials were simulated."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from study import review
from study.store.folder import StudyFolder
from tests.study.cli.test_export_command import finished


@pytest.fixture(autouse=True)
def undelivered(begun: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finish the study; what is queued for MLflow stays in the outbox."""
    finished(begun)
    monkeypatch.setattr(review, "start_delivery", lambda *_: None)
    monkeypatch.setattr(review, "deliver", lambda *_: None)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ([], "report.html"),
        (["--format", "html"], "report.html"),
        (["--format", "md"], "report.md"),
    ],
)
def test_the_file_of_the_asked_format_is_named_and_figures_are_written(
    call, begun, arguments, name
):
    ended = call("report", "mine", *arguments)
    assert ended.code == 0
    said = re.search(r"^report: (.*)$", ended.out, re.MULTILINE)
    assert said is not None
    page = Path(said[1])
    assert page.resolve() == (begun.report / name).resolve()
    assert page.stat().st_size > 0
    assert (begun.report / "report.html").exists()
    assert list(begun.report.glob("*.png"))


def test_the_markdown_links_to_the_figures_beside_it(call, begun):
    assert call("report", "mine", "--format", "md").code == 0
    links = re.findall(r"\]\(([^)]+\.png)\)", (begun.report / "report.md").read_text())
    assert links
    assert all((begun.report / link).exists() for link in links)


def test_another_format_is_refused(call):
    ended = call("report", "mine", "--format", "pdf")
    assert ended.code == 2
    assert "'pdf' is not one of 'html', 'md'" in ended.err
