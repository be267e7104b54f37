"""The written summary of a study, made from its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from study.report.sections import SECTIONS, Section
from study.trial_table import TrialTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A study in plain words.

    Attributes:
        study: Name of the study.
        missing: What the report lacks, in sentences; shown before all else.
        sections: In reading order, without those that have nothing to say.
    """

    study: str
    missing: tuple[str, ...]
    sections: tuple[Section, ...]


def summarise(table: TrialTable, missing: Sequence[str] = ()) -> Summary:
    """Write the summary of a study; what cannot be said is said to be so.

    Args:
        table: Trials of the study.
        missing: What the report lacks; trials that still run are added.
    """
    sections = (make(table) for make in SECTIONS.values())
    running = [row for row in table.rows if row.state == "RUNNING"]
    unfinished = (
        f"{len(running)} trials are still running; the numbers will change when they are done.",
    )
    return Summary(
        study=table.study,
        missing=tuple(dict.fromkeys((*(unfinished if running else ()), *missing))),
        sections=tuple(section for section in sections if section.statements),
    )


def to_markdown(summary: Summary) -> str:
    """Write a summary as Markdown, for MLflow and pull requests."""
    lines = [f"# {summary.study}", ""]
    if summary.missing:
        lines += ["## Missing", "", *(f"- {text}" for text in summary.missing), ""]
    for section in summary.sections:
        lines += [f"## {section.title}", "", *(f"- {text}" for text in section.statements), ""]
    return "\n".join(lines)
