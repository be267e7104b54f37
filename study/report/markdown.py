"""The report as Markdown, for a pull request: figures are files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from study.report.exhibit import Exhibit
from study.report.paper import reference_table
from study.report.summary import Summary, to_markdown
from study.report.tables import Table, failures_table
from study.sensitivity import settings
from study.trial_table import TrialTable

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#])")


def report_markdown(table: TrialTable, summary: Summary, exhibits: Sequence[Exhibit]) -> str:
    """Write the report as GitHub's Markdown: summary, figures, tables.

    Figures are links to the PNG files in the same folder, so that folder and text can be
    committed or uploaded together.

    Args:
        table: Trials of the study.
        summary: The written summary, with what is missing.
        exhibits: Figures and tables, in order.
    """
    references = [found for one in settings(table) if (found := reference_table(one))]
    failures = failures_table(table)
    parts = [
        to_markdown(summary).rstrip(),
        *(part for exhibit in exhibits for part in _exhibit(exhibit)),
        *(["## The paper"] if references else []),
        *(part for reference in references for part in table_markdown(reference)),
        *(["## Failures", *table_markdown(failures)] if failures.rows else []),
        "## Environment",
        _environment(table),
    ]
    return "\n\n".join(parts) + "\n"


def table_markdown(table: Table) -> Iterator[str]:
    """Write a table: its title, its rows between bars, and its note."""
    yield f"### {plain(table.title)}"
    rule = "|".join(["", *(" --- " for _ in table.columns), ""])
    yield "\n".join([_row(table.columns), rule, *(_row(row) for row in table.rows)])
    yield f"_{plain(table.note)}_"


def plain(text: str) -> str:
    """Write a text so that Markdown shows it as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split("\n")))


def _exhibit(exhibit: Exhibit) -> Iterator[str]:
    yield f"## {plain(exhibit.title)}"
    if exhibit.words:
        yield f"![{plain(exhibit.title)}]({exhibit.name}.png)"
        yield plain(exhibit.words)
    for table in exhibit.tables:
        yield from table_markdown(table)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(plain(cell) for cell in cells)} |"


def _environment(table: TrialTable) -> str:
    facts = sorted(table.environment.items())
    lines = [f"- {plain(name)}: {plain(str(value))}" for name, value in facts]
    return "\n".join(lines) or "Not recorded."
