"""One arm of a study in plain words: what stands first in its run in MLflow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from study.errors import ReportError
from study.report.markdown import plain
from study.report.sections.outcome import main_metric
from study.report.summary import Summary
from study.report.wording import PERCENT, brackets, counted, p_value, parameters
from study.sensitivity import (
    CONTROLS,
    ArmComparison,
    Measurement,
    arm_label,
    compare,
    metric_label,
)
from study.trial_table import ArmRow, TrialTable

_ABSENT = "–"
_HOUR_S = 3600.0
_WHERE = (
    "Artifacts: `report.html` is the whole report with its interactive figures, `figures/` and "
    "`tables/` its parts, `study.yaml` the study file, `environment.json` versions and hardware."
)
_COSTS = {"cpu_s": "CPU hours", "gpu_s": "GPU hours"}


def arm_note(table: TrialTable, arm: ArmRow, summary: Summary) -> str:
    """Write an arm's own results as Markdown, then the study's summary, what is missing last.

    MLflow keeps no more than 8000 characters of it, and folds all but the first lines up.

    Args:
        table: Trials of the study.
        arm: One of its arms, whether or not it has results.
        summary: The study's written summary.
    """
    sections = [(section.title, section.statements) for section in summary.sections]
    if summary.missing:
        sections.append(("Missing from the report", summary.missing))
    lines = [
        f"# {plain(arm_label(arm.name, arm.method))}",
        "",
        f"**{_headline(table, arm)}**",
        "",
        f"Chosen configuration: {_chosen(table, arm)}",
        "",
        plain(f"{arm.dataset}; {arm.model}; {counted(arm.epochs, 'epoch')}."),
        "",
        *_results(table, arm),
        "",
        f"Trials: {_trials(table, arm)}. {_cost(table, arm)}",
        "",
        _WHERE,
        "",
        f"# The whole study: {plain(table.study)}",
    ]
    for title, statements in sections:
        lines += ["", f"## {title}", "", *(f"- {plain(text)}" for text in statements)]
    return "\n".join(lines) + "\n"


def _headline(table: TrialTable, arm: ArmRow) -> str:
    """Say the result in a line: MLflow folds a longer description up."""
    metric = main_metric(table)
    try:
        found = compare(table, (metric,)).row(arm.name).get(metric)
    except ReportError:
        found = None
    if found is None:
        return "No test result yet."
    result = f"{metric_label(metric).axis}: {brackets(found.interval, metric)}"
    corrected = found.to_control
    if corrected is None:
        return f"{result}, n = {found.interval.n}."
    difference = brackets(corrected.difference.interval, metric, is_signed=True)
    return (
        f"{result}, n = {found.interval.n}; minus Base {difference}, {p_value(corrected.p_holm)}."
    )


def _chosen(table: TrialTable, arm: ArmRow) -> str:
    if arm.best_params is None:
        return "none yet."
    found = [
        row for row in table.select(arm.name, "search") if dict(row.params) == arm.best_params
    ]
    origin = f" (search trial {found[0].number})" if found and arm.dimensions else ""
    said = plain(parameters(arm.best_params)) if arm.dimensions else "nothing to choose"
    return f"{said}{origin}."


def _results(table: TrialTable, arm: ArmRow) -> Iterator[str]:
    try:
        against = {control: compare(table, against=control).row(arm.name) for control in CONTROLS}
    except ReportError as error:
        yield f"No test result yet: {error}"
        return
    row = against["base"]
    if not row.measurements:
        yield "No test result yet: the report says what is missing."
        return
    yield f"| Test result, n = {len(row.seeds)} | Mean [{PERCENT}] | − Base | − Random |"
    yield "|---|---|---|---|"
    for measured in row.measurements:
        cells = (_difference(against[control], measured) for control in CONTROLS)
        value = brackets(measured.interval, measured.metric)
        yield f"| {metric_label(measured.metric).axis} | {value} | {' | '.join(cells)} |"


def _difference(row: ArmComparison, measured: Measurement) -> str:
    found = row.get(measured.metric)
    if found is None or found.to_control is None:
        return _ABSENT
    corrected = found.to_control
    interval = brackets(corrected.difference.interval, measured.metric, is_signed=True)
    return f"{interval}, {p_value(corrected.p_holm)}"


def _trials(table: TrialTable, arm: ArmRow) -> str:
    counts = Counter((row.phase, row.state) for row in table.rows if row.arm == arm.name)
    return ", ".join(f"{n} {phase} {state}" for (phase, state), n in sorted(counts.items()))


def _cost(table: TrialTable, arm: ArmRow) -> str:
    rows = [row for row in table.rows if row.arm == arm.name]
    used = {word: sum(row.used(what) for row in rows) / _HOUR_S for what, word in _COSTS.items()}
    said = [f"{hours:.3g} {word}" for word, hours in used.items() if hours]
    return f"They used {' and '.join(said)}." if said else "What they used was not measured."
