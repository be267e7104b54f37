"""The verdict of a study: its finding with the test that it rests on, and what weakens it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from study.records.errors import ReportError
from study.records.labels import arm_label, dimension_symbol, metric_label
from study.records.trial_table import TrialTable
from study.report.formatting import (
    format_count,
    format_interval,
    format_metric,
    format_p_value,
    format_params,
    format_power,
    format_value,
    format_with_unit,
    join_words,
)
from study.report.sections.result_statements import main_metric, outcome_word
from study.report.sections.search_statements import format_averaged
from study.sensitivity import (
    CONTROLS,
    ArmComparison,
    Comparison,
    CorrectedDifference,
    DimensionCurve,
    average_ranks,
    compare,
    detectable_difference,
    range_edges,
    sweep_curve,
    swept_dimensions,
    workloads,
)

# Of the arms of a study that has no test result yet.
_SHOWN_ARMS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a study found.

    Attributes:
        arm: Name of the main arm; empty without results.
        finding: One sentence on the main arm against its controls, or why there is no result.
        sensitivity: One sentence on the main arm's first sweep against Base; empty without one.
        cautions: What weakens the finding, in sentences: replicas at chance, choices at an edge
            of their range.
    """

    arm: str
    finding: str
    sensitivity: str
    cautions: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """Finding and sensitivity, as far as there is one."""
        return (self.finding, self.sensitivity) if self.sensitivity else (self.finding,)


def verdict(table: TrialTable) -> Verdict:
    """Return the verdict of a study, finished or not."""
    metric = main_metric(table)
    try:
        to_base = compare(table, (metric,))
        arms = main_arms(table, to_base)
        found = _one(table, to_base, arms[0]) if len(arms) == 1 else _several(table, to_base, arms)
    except ReportError as error:
        finding = _best_so_far(table) or f"No test result yet: {error}"
        return Verdict(arm="", finding=finding, sensitivity="", cautions=())
    return Verdict(
        arm=arms[0].arm,
        finding=f"So far: {found}" if table.open else found,
        sensitivity=_sensitivity(table, arms[0]),
        cautions=(*_at_chance(to_base, metric), *_at_edges(table)),
    )


def _best_so_far(table: TrialTable) -> str:
    """Return the best search trial of each arm of a study that goes on; empty without one."""
    label = metric_label(table.objective)
    bests = [(arm, table.best_search(arm.name)) for arm in table.arms if arm.dimensions]
    found = [
        f"{arm_label(arm.name, arm.method)} {format_with_unit(best.value, table.objective)} "
        f"(trial {best.number}: {format_params(best.params)})"
        for arm, best in bests
        if best is not None and best.value is not None
    ]
    if not table.open or not found:
        return ""
    more = f"; and {len(found) - _SHOWN_ARMS} more arms" if len(found) > _SHOWN_ARMS else ""
    return (
        f"So far: no test result yet; best {label.name} of the searches, which is no test: "
        f"{'; '.join(found[:_SHOWN_ARMS])}{more}."
    )


def main_arms(table: TrialTable, to_base: Comparison) -> tuple[ArmComparison, ...]:
    """Return the arm of each dataset and model that the verdict is about, as far as it has one.

    It is the first that has results and is no control, Challenger before others. Controls stand
    alone in a verdict only where the study has nothing else: then it is the last with results.
    """
    found: list[ArmComparison] = []
    controls: list[ArmComparison] = []
    for workload in workloads(table):
        rows = [to_base.row(arm.name) for arm in workload.arms]
        rows = [row for row in rows if row.measurements]
        ours = [row for row in rows if row.method not in CONTROLS]
        ours.sort(key=lambda row: row.method != "challenger")
        found += ours[:1]
        controls += rows[-1:]
    return tuple(found or controls)


def _one(table: TrialTable, to_base: Comparison, row: ArmComparison) -> str:
    metric = to_base.metrics[0]
    to_random = compare(table, (metric,), against="random").row(row.arm)
    compared = [
        (one.control, found)
        for one in (row, to_random)
        if (found := _difference(one, metric)) is not None
    ]
    name = arm_label(row.arm, row.method)
    if not compared:
        level = row.measurements[0].interval
        return (
            f"{name} reached a {metric_label(metric).name} of {format_interval(level, metric)} "
            f"(mean of {level.n} replicas with 95% interval); there is no control to compare "
            "it with."
        )
    clauses = [
        _clause(corrected, control, name, metric, is_first=at == 0)
        for at, (control, corrected) in enumerate(compared)
    ]
    verdicts = {outcome_word(corrected, metric) for _, corrected in compared}
    joint = "; " if verdicts == {""} else ", and " if len(verdicts) == 1 else ", but "
    return f"{joint.join(clauses)}."


def _clause(
    corrected: CorrectedDifference, control: str, name: str, metric: str, *, is_first: bool
) -> str:
    interval, word = corrected.difference.interval, outcome_word(corrected, metric)
    sign = -1.0 if word and interval.mean < 0 else 1.0
    ends = sorted((sign * interval.low, sign * interval.high))
    low, mean, high = (
        format_metric(value, metric, is_signed=not word)
        for value in (ends[0], sign * interval.mean, ends[1])
    )
    unit = f" {metric_label(metric).difference_unit}".rstrip() if is_first else ""
    size = f"{mean}{unit} [{low}, {high}]"
    tested = format_p_value(corrected.p_holm)
    if is_first:
        tested = f"paired t test over {corrected.difference.n} seeds, {tested}"
        if corrected.family > 1:
            tested += f" after Holm's correction over {corrected.family} arms"
    if word:
        of = f" in {metric_label(metric).name}" if is_first else ""
        subject = f"{name} is {word}" if is_first else word
        return f"{subject} than {control}{of}, by {size} ({tested})"
    power = format_power(corrected, metric)
    tested = f"{tested}; {power}" if power and is_first else tested
    if is_first:
        label = metric_label(metric).name
        return (
            f"No difference between {name} and {control} was shown in {label}: {size} ({tested})"
        )
    least = detectable_difference(corrected.difference, family=corrected.family)
    tested += "" if least is None else f"; {format_metric(least, metric)} or more would be"
    return f"no difference to {control} was shown: {size} ({tested})"


def _difference(row: ArmComparison, metric: str) -> CorrectedDifference | None:
    found = row.get(metric)
    return None if found is None else found.to_control


def _several(table: TrialTable, to_base: Comparison, rows: tuple[ArmComparison, ...]) -> str:
    metric = to_base.metrics[0]
    names = dict.fromkeys(arm_label(row.method, row.method) for row in rows)
    compared = [found for row in rows if (found := _difference(row, metric)) is not None]
    words = [outcome_word(found, metric) for found in compared]
    counts = (
        f"{join_words(list(names))} is better than Base in {metric_label(metric).name} on "
        f"{words.count('better')} of {len(compared)} datasets and worse on {words.count('worse')} "
        "(paired t tests over seeds, Holm-corrected over the arms of a dataset)"
    )
    try:
        ranks = average_ranks(table, metric)
    except ReportError:
        # The section on ranks has the reason.
        return f"{counts}."
    listed = ", ".join(f"{arm_label(m.method, m.method)} {m.rank:.2f}" for m in ranks.methods)
    return (
        f"{counts}; mean ranks: {listed} (Friedman's test by permutation, "
        f"{format_p_value(ranks.p_value)})."
    )


def first_curve(table: TrialTable, row: ArmComparison) -> DimensionCurve | None:
    """Return the curve of an arm's first swept dimension in the main metric, or None."""
    for dimension in swept_dimensions(table, table.arm(row.arm)):
        try:
            return sweep_curve(table, row.arm, dimension, main_metric(table))
        except ReportError:
            # The section on the dimensions has the reason.
            continue
    return None


def _sensitivity(table: TrialTable, row: ArmComparison) -> str:
    curve = first_curve(table, row)
    return "" if curve is None else format_averaged(curve)


def _at_chance(to_base: Comparison, metric: str) -> Iterator[str]:
    for row in to_base.rows:
        found = row.get(metric)
        if not row.at_chance or found is None:
            continue
        seeds = join_words([str(seed) for seed in row.at_chance])
        median, middle = (
            format_metric(value, metric) for value in (found.median, found.interquartile_mean)
        )
        yield (
            f"{len(row.at_chance)} of {format_count(len(row.seeds), 'replica')} of "
            f"{arm_label(row.arm, row.method)} on {row.dataset} ended at chance (seeds {seeds}): "
            f"its intervals and tests are not to be trusted; {metric_label(metric).name}: median "
            f"{median}, interquartile mean {middle}."
        )


def _at_edges(table: TrialTable) -> Iterator[str]:
    for one in range_edges(table).values:
        symbol, end = dimension_symbol(one.dimension), "lower" if one.edge == "low" else "upper"
        low, high = (format_value(value) for value in one.wider)
        yield (
            f"{arm_label(one.arm, one.method)} chose {symbol} = {format_value(one.value)}, at "
            f"the {end} edge of its range ({format_value(one.low)} to {format_value(one.high)}): "
            f"the best may lie beyond; try {low} to {high}."
        )
