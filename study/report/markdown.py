"""The summary of a study as statements, and the report and an arm's results as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape as escape_html

from study.records.errors import ReportError
from study.records.escaping import escape_markdown, visible
from study.records.trial_table import PHASES, ArmRow, TrialTable
from study.report.arrangement import PlacedSection, arrange, facts
from study.report.formatting import (
    CONFIDENCE_PERCENT,
    format_corrected,
    format_count,
    format_interval,
    format_params,
    join_words,
)
from study.report.panel import ReportPanel
from study.report.sections import SECTIONS, Section
from study.report.sections.result_statements import main_metric
from study.report.tables import Table
from study.report.verdict import Verdict, verdict
from study.sensitivity import (
    CONTROLS,
    ArmComparison,
    Measurement,
    arm_label,
    compare,
    metric_label,
)

_SEARCHES = "What every arm searched, tried and chose"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The statements on a study.

    Attributes:
        verdict: What the study found; shown first.
        missing: Missing parts of the report, in sentences.
        sections: In reading order, without empty ones.
    """

    study: str
    verdict: Verdict
    missing: tuple[str, ...]
    sections: tuple[Section, ...]


def summarize(table: TrialTable, missing: Sequence[str] = ()) -> Summary:
    """Build the summary of a study.

    Args:
        table: Trials of the study.
        missing: Missing parts of the report; what is still to be trained is added.
    """
    sections = (make(table) for make in SECTIONS.values())
    return Summary(
        study=table.study,
        verdict=verdict(table),
        missing=tuple(dict.fromkeys((*_open_trials(table), *missing))),
        sections=tuple(section for section in sections if section.statements),
    )


def _open_trials(table: TrialTable) -> Iterator[str]:
    """Yield what is still to be trained, as one sentence per phase."""
    labels = {arm.name: arm_label(arm.name, arm.method) for arm in table.arms}
    for phase in PHASES:
        found = [one for one in table.open if one.phase == phase]
        if found:
            counts = join_words(
                [f"{o.total - o.ended} of {o.total} of {labels[o.arm]}" for o in found]
            )
            yield f"Still to end of the {phase} trials: {counts}; the numbers will change."


def to_markdown(summary: Summary) -> str:
    """Return a summary as Markdown, for MLflow and pull requests."""
    found = summary.verdict
    lines = [
        f"# {escape_markdown(summary.study)}",
        "",
        f"**{escape_markdown(found.finding)}**",
        "",
    ]
    lines += [*_listed(found.cautions), ""] if found.cautions else []
    if summary.missing:
        lines += ["## Missing", "", *_listed(summary.missing), ""]
    for section in summary.sections:
        lines += [f"## {section.title}", "", *_listed(section.statements), ""]
    return "\n".join(lines)


def _listed(statements: Sequence[str]) -> Iterator[str]:
    return (f"- {escape_markdown(text)}" for text in statements)


def report_markdown(table: TrialTable, summary: Summary, panels: Sequence[ReportPanel]) -> str:
    """Return the report as GitHub's Markdown, arranged as the page: the verdict first.

    Figures are links to the PNG files in the same folder, so that folder and text can be
    committed or uploaded together. Captions, numbers and searches unfold on demand.
    """
    arranged = arrange(table, summary.sections, panels, summary.verdict.arm)
    found = summary.verdict
    parts = [
        f"# {escape_markdown(summary.study)}",
        escape_markdown(" · ".join(facts(table))),
        f"**{escape_markdown(found.finding)}**",
        "\n".join(_listed(found.cautions)),
        *_folded("Missing from this report", ["\n".join(_listed(summary.missing))]),
        *(part for panel in arranged.first for part in _panel_markdown(panel)),
        *(part for section in arranged.sections for part in _section_markdown(section)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section_markdown(section: PlacedSection) -> Iterator[str]:
    yield f"## {section.title}"
    inner = [part for one in section.statements for part in _statements_markdown(one)]
    inner += [part for panel in section.panels for part in _panel_markdown(panel)]
    inner += [
        part for one in section.tables for part in _folded(one.title, list(table_markdown(one)))
    ]
    yield from _folded(_SEARCHES, inner) if section.name == "searches" else inner


def _statements_markdown(section: Section) -> Iterator[str]:
    yield f"### {section.title}"
    yield "\n".join(_listed(section.statements))


def _folded(title: str, parts: Sequence[str]) -> Iterator[str]:
    """Yield what unfolds on GitHub below a title; nothing without content."""
    if any(parts):
        yield f"<details><summary>{escape_html(visible(title))}</summary>"
        yield from parts
        yield "</details>"


def table_markdown(table: Table) -> Iterator[str]:
    """Yield the title, rows and note of a table."""
    yield f"### {escape_markdown(table.title)}"
    rule = "|".join(["", *(" --- " for _ in table.columns), ""])
    yield "\n".join([_table_row(table.columns), rule, *(_table_row(row) for row in table.rows)])
    yield f"_{escape_markdown(table.note)}_"


def _panel_markdown(panel: ReportPanel) -> Iterator[str]:
    numbers = [part for one in panel.tables for part in table_markdown(one)]
    if not panel.caption:
        first, rest = (numbers[:3], numbers[3:]) if not panel.is_folded else ([], numbers)
        yield from first
        yield from _folded(f"{panel.title}: more numbers", rest)
        return
    picture = f"![{escape_markdown(panel.title)}]({panel.name}.png)"
    below = [escape_markdown(panel.caption), *numbers]
    if panel.is_folded:
        yield from _folded(panel.title, [picture, *below])
        return
    yield f"### {escape_markdown(panel.title)}"
    yield picture
    yield from _folded("Caption and numbers" if numbers else "Caption", below)


def _table_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(escape_markdown(cell) for cell in cells)} |"


_HOUR_S = 3600.0
_ARTIFACTS_NOTE = (
    "Artifacts: `report.html` is the whole report with its interactive figures, `figures/` and "
    "`tables/` its parts, `study.yaml` the study file, `environment.json` versions and hardware."
)
_COSTS = {"cpu_s": "CPU hours", "gpu_s": "GPU hours"}


def arm_note(table: TrialTable, arm: ArmRow, summary: Summary) -> str:
    """Return an arm's results as Markdown, then the study's summary with missing parts last.

    MLflow keeps at most 8000 characters of it, and folds all but the first lines.
    """
    sections = [(section.title, section.statements) for section in summary.sections]
    if summary.missing:
        sections.append(("Missing from the report", summary.missing))
    lines = [
        f"# {escape_markdown(arm_label(arm.name, arm.method))}",
        "",
        f"**{escape_markdown(_headline(table, arm))}**",
        "",
        f"Chosen configuration: {_chosen(table, arm)}",
        "",
        escape_markdown(f"{arm.dataset}; {arm.model}; {format_count(arm.epochs, 'epoch')}."),
        "",
        *_result_rows(table, arm),
        "",
        f"Trials: {_trial_counts(table, arm)}. {_cost(table, arm)}",
        "",
        _ARTIFACTS_NOTE,
        "",
        f"# The whole study: {escape_markdown(table.study)}",
    ]
    for title, statements in sections:
        lines += ["", f"## {title}", "", *_listed(statements)]
    return "\n".join(lines) + "\n"


def _headline(table: TrialTable, arm: ArmRow) -> str:
    """Return the result in one line, which MLflow shows unfolded."""
    metric = main_metric(table)
    try:
        found = compare(table, (metric,)).row(arm.name).get(metric)
    except ReportError:
        found = None
    if found is None:
        return "No test result yet."
    result = f"{metric_label(metric).axis}: {format_interval(found.interval, metric)}"
    if found.to_control is None:
        return f"{result}, n = {found.interval.n}."
    difference = format_corrected(found.to_control, metric)
    return f"{result}, n = {found.interval.n}; minus Base {difference}."


def _chosen(table: TrialTable, arm: ArmRow) -> str:
    if arm.best_params is None:
        return "none yet."
    found = [
        row for row in table.select(arm.name, "search") if dict(row.params) == arm.best_params
    ]
    origin = f" (search trial {found[0].number})" if found and arm.dimensions else ""
    if arm.like is not None:
        origin = f" (chosen by {escape_markdown(arm.like)})"
    params = (
        escape_markdown(format_params(arm.best_params)) if arm.best_params else "no dimensions"
    )
    return f"{params}{origin}."


def _result_rows(table: TrialTable, arm: ArmRow) -> Iterator[str]:
    try:
        against = {control: compare(table, against=control).row(arm.name) for control in CONTROLS}
    except ReportError as error:
        yield escape_markdown(f"No test result yet: {error}")
        return
    row = against["base"]
    if not row.measurements:
        yield "No test result yet: the report names the missing parts."
        return
    n = len(row.seeds)
    yield f"| Test result, n = {n} | Mean [{CONFIDENCE_PERCENT}] | − Base | − Random |"
    yield "|---|---|---|---|"
    for measured in row.measurements:
        cells = (_difference_cell(against[control], measured) for control in CONTROLS)
        value = format_interval(measured.interval, measured.metric)
        name = escape_markdown(metric_label(measured.metric).axis)
        yield f"| {name} | {value} | {' | '.join(cells)} |"


def _difference_cell(row: ArmComparison, measured: Measurement) -> str:
    found = row.get(measured.metric)
    return format_corrected(None if found is None else found.to_control, measured.metric)


def _trial_counts(table: TrialTable, arm: ArmRow) -> str:
    counts = Counter((row.phase, row.state) for row in table.rows if row.arm == arm.name)
    return ", ".join(f"{n} {phase} {state}" for (phase, state), n in sorted(counts.items()))


def _cost(table: TrialTable, arm: ArmRow) -> str:
    rows = [row for row in table.rows if row.arm == arm.name]
    used = {unit: sum(row.used(key) for row in rows) / _HOUR_S for key, unit in _COSTS.items()}
    listed = [f"{hours:.3g} {unit}" for unit, hours in used.items() if hours]
    return f"They used {' and '.join(listed)}." if listed else "Their usage was not measured."
