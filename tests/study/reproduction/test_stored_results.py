"""Results that come with the installation: whole, marked when outdated, and quoted as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from study.report.formatting import format_interval, format_p_value
from study.reproduction import at_scale, load_preset
from study.reproduction.reproduction_run import plan_presets
from study.reproduction.stored_results import (
    DIGEST_LENGTH,
    StoredResult,
    settings_digest,
    stored_results,
)
from study.sensitivity.intervals import Interval
from trainables.code_digest import code_digest

ROOT = Path(__file__).parents[3]
RESULTS = stored_results()
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
OUTDATED = "made with other settings than today's"


def cells(result: StoredResult) -> set[str]:
    """Return every number of a result as it is written in a table."""
    found = set()
    for row in result.rows:
        if row["ours"]:
            numbers = {key: float(row[key]) for key in ("low", "high")}
            interval = Interval(mean=float(row["ours"]), n=int(row["n"]), **numbers)
            is_signed = bool(row["against"])
            text = format_interval(interval, row["metric"], is_signed=is_signed)
            found.add(f"{text}, {format_p_value(float(row['p']))}" if is_signed else text)
    return found


def quotations(page: Path) -> Iterator[tuple[str, str]]:
    """Yield what a page's tables quote: the study's name, and our cell without units."""
    study = None
    for line in page.read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            study = None
        elif found := re.search(r"reproduce (\w+) --scale (\w+)", line):
            study = f"{found[1]}-{found[2]}"
        elif study is not None and not re.fullmatch(r"[|\s:-]+", line):
            yield study, re.sub(r" (%|points)(?= \[)", "", line.strip("| ").split(" | ")[-1])


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.file)
def test_a_result_says_what_made_it_and_where(result):
    preset = load_preset(result.preset)
    printed = [row for row in result.rows if not row["against"]]
    assert result.file == f"{result.preset}-{result.scale}.csv"
    assert [(row["row"], row["metric"]) for row in printed] == [
        (row.row, row.metric) for row in preset.paper
    ]
    assert {row["against"] for row in result.rows} == {"", "base", "random"}
    for row in result.rows:
        assert re.fullmatch(r"[0-9a-f]{40}", row["environment/commit"])
        for fact in ("challenger-study", "torch", "python", "system", "processor"):
            assert row[f"environment/{fact}"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_number_that_a_page_quotes_is_in_the_result_beside_it(page):
    known = {f"{one.preset}-{one.scale}": one for one in RESULTS}
    for study, cell in quotations(page):
        assert study in known, f"{page.name} quotes {study}, of which no result is stored"
        assert cell in cells(known[study]), f"{page.name}: {cell!r} is not in {study}.csv"


def test_the_papers_page_is_checked_and_an_altered_number_would_be_found(tmp_path):
    page = ROOT / "docs" / "papers.md"
    assert len(list(quotations(page))) >= 6
    altered = tmp_path / "altered.md"
    altered.write_text(page.read_text("utf-8").replace("47.5 %", "48.5 %"), "utf-8")
    with pytest.raises(AssertionError, match=r"'48\.5 \[43\.1, 51\.9\]' is not in table1-small"):
        test_every_number_that_a_page_quotes_is_in_the_result_beside_it(altered)


def test_pages_that_quote_outdated_results_say_so():
    outdated = {f"{one.preset}-{one.scale}" for one in RESULTS if not one.is_current}
    for page in PAGES:
        quoted = {study for study, _ in quotations(page)}
        assert bool(quoted & outdated) == (OUTDATED in page.read_text("utf-8"))


def test_a_result_is_current_while_its_preset_has_the_same_settings():
    digest = settings_digest(at_scale(load_preset("table1"), "small"))
    result = replace(RESULTS[0], settings=digest, code=code_digest()[:DIGEST_LENGTH])
    assert result.is_current
    assert result.verdict == f"{result.file}, of commit {result.commit[:7]}"
    other = replace(result, code="0123456789abcdef").verdict
    assert other == f"{result.verdict}: made by other training code than today's"
    assert not replace(result, scale="smoke").is_current
    note = plan_presets(["table1"], "small").note
    assert "table1-small.csv, of commit 9a88d8f" in note
    assert (OUTDATED in note) == (not RESULTS[0].is_current)
