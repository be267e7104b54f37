"""The results of a study for a terminal of 80 columns: a row per arm, choices, the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from study.records.labels import arm_label, metric_label
from study.records.trial_table import TrialTable
from study.report.formatting import ABSENT, CONFIDENCE_PERCENT, format_interval, format_params
from study.report.sections.result_statements import main_metric
from study.report.tables import Table, tabulate
from study.sensitivity import ArmComparison, Comparison, compare, workloads


def result_tables(table: TrialTable) -> Iterator[Table]:
    """Yield the table of the main metric of every dataset and model: level and differences.

    Raises:
        ReportError: If no arm has a result.
    """
    metric = main_metric(table)
    to_base = compare(table, (metric,))
    to_random = compare(table, (metric,), against="random")
    label = metric_label(metric)
    for workload in workloads(table):
        rows = [to_base.row(arm.name) for arm in workload.arms]
        yield tabulate(
            f"{label.axis} on {workload.dataset}, {workload.model}; n = {_counts(rows)}",
            rows,
            [
                ("Arm", lambda row: arm_label(row.arm, row.method)),
                ("Mean", partial(_level, metric)),
                ("− Base", partial(_difference, to_base)),
                ("− Random", partial(_difference, to_random)),
            ],
            f"Mean over n replicas [{CONFIDENCE_PERCENT} interval]; differences over the same "
            "seeds. *: p < 0.05, paired t test, Holm-corrected over the arms. "
            f"{_matched(to_random)}".strip(),
        )


def chosen_lines(table: TrialTable) -> Iterator[str]:
    """Yield a line per arm that has chosen: its params."""
    for arm in table.arms:
        if arm.best_params:
            yield f"{arm_label(arm.name, arm.method)}: {format_params(arm.best_params)}"


def _counts(rows: Sequence[ArmComparison]) -> str:
    counts = sorted({len(row.seeds) for row in rows if row.measurements})
    return " or ".join(map(str, counts)) or "0"


def _matched(to_random: Comparison) -> str:
    """Return whose Random is the matched one, which took over the arm's choice."""
    matched = [
        arm_label(row.arm, row.method) for row in to_random.rows if "matched" in row.control
    ]
    return f"Random of {', '.join(matched)}: the matched one." if matched else ""


def _level(metric: str, row: ArmComparison) -> str:
    found = row.get(metric)
    return ABSENT if found is None else format_interval(found.interval, metric)


def _difference(comparison: Comparison, row: ArmComparison) -> str:
    metric = comparison.metrics[0]
    found = comparison.row(row.arm).get(metric)
    corrected = None if found is None else found.to_control
    if corrected is None:
        return ABSENT
    star = "*" if corrected.is_significant else ""
    return format_interval(corrected.difference.interval, metric, is_signed=True) + star
