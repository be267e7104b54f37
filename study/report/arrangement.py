"""Which panels, statements and tables of a report stand where, on the page and in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from study.figures.figure import Place
from study.records.trial_table import TrialTable
from study.report.formatting import format_count
from study.report.panel import ReportPanel
from study.report.sections import Section
from study.report.summary_tables import environment_table, reference_table
from study.report.tables import Table, failures_table
from study.sensitivity import workloads

_HEADINGS: Mapping[Place, str] = MappingProxyType(
    {
        "result": "Result",
        "sensitivity": "Sensitivity",
        "filters": "Filters",
        "searches": "Searches",
        "method": "Method and limits",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedSection:
    """A section of a report.

    Attributes:
        statements: The sections of the summary that stand in it.
        tables: Tables without a panel, shown on demand: the paper's, failures, environment.
    """

    name: Place
    title: str
    statements: tuple[Section, ...]
    panels: tuple[ReportPanel, ...]
    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """A report in reading order.

    Attributes:
        first: Panels of the first screen: the arms minus Base, and the main arm's first sweep.
        sections: The other sections, without empty ones.
    """

    first: tuple[ReportPanel, ...]
    sections: tuple[PlacedSection, ...]


def arrange(
    table: TrialTable, statements: Sequence[Section], panels: Sequence[ReportPanel], arm: str
) -> Arrangement:
    """Arrange a report.

    Args:
        table: Trials of the study.
        statements: Sections of the summary.
        panels: Figures and tables, in order.
        arm: Name of the main arm.
    """
    forests = [one for one in panels if one.figure == "forest_plot"]
    sweeps = [one for one in panels if one.figure == "sweep_curve" and arm in one.arms]
    first = (*forests[:1], *sweeps[:1])
    sections = (
        PlacedSection(
            name=place,
            title=title,
            statements=tuple(one for one in statements if one.place == place),
            panels=tuple(one for one in panels if one.place == place and one not in first),
            tables=_further_tables(table) if place == "method" else (),
        )
        for place, title in _HEADINGS.items()
    )
    shown = tuple(one for one in sections if one.statements or one.panels or one.tables)
    return Arrangement(first=first, sections=shown)


def facts(table: TrialTable) -> tuple[str, ...]:
    """Return date, commit, n and size of a study, for the line above its name.

    The date is that of the trial that ended last, with its time where the study goes on.
    """
    ended = max((row.finished_ms or 0 for row in table.rows), default=0)
    n_ended = sum(row.is_finished for row in table.rows)
    n_open = sum(one.total - one.ended for one in table.open)
    form = "so far, %Y-%m-%d %H:%M UTC" if n_open else "%Y-%m-%d"
    counts = sorted({len(row.seeds) for row in table.rows if row.phase == "final"})
    commit, _, changed = table.environment.get("commit", "").partition("-")
    shown = workloads(table)
    return (
        *([f"{datetime.fromtimestamp(ended / 1000, UTC):{form}}"] if ended else []),
        *([f"commit {commit[:10]}{' with changes' * bool(changed)}"] if commit else []),
        *([f"n = {' or '.join(map(str, counts))} replicas"] if counts else []),
        format_count(len(table.arms), "arm"),
        f"{n_ended} of {n_ended + n_open} trials"
        if n_open
        else format_count(len(table.rows), "trial"),
        f"{shown[0].dataset}, {shown[0].model}"
        if len(shown) == 1
        else f"{len(shown)} datasets and models",
    )


def _further_tables(table: TrialTable) -> tuple[Table, ...]:
    references = [reference_table(workload) for workload in workloads(table)]
    found = [*references, failures_table(table), environment_table(table)]
    return tuple(one for one in found if one is not None and one.rows)
