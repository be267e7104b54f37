"""Statements on test results: against controls, over datasets, of transferred configurations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from study.figures.figure import Place
from study.records.errors import ReportError
from study.records.labels import arm_label, metric_label
from study.records.trial_table import TrialTable
from study.report.formatting import (
    format_difference,
    format_estimate,
    format_p_value,
    format_power,
    format_significance,
    join_words,
)
from study.sensitivity import (
    CONFIDENCE,
    CONTROLS,
    TEST_METRICS,
    TRANSFER_METRICS,
    ArmComparison,
    AverageRanks,
    Comparison,
    CorrectedDifference,
    Measurement,
    Transfer,
    TransferRow,
    TransferTarget,
    TransferValue,
    average_ranks,
    compare,
    transfer,
    transfer_methods,
    workloads,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading with statements, each one or a few sentences.

    Attributes:
        place: Section of the page that shows it; ``head`` where the page's verdict, first figure
            and table say the same.
    """

    title: str
    place: Place | Literal["head"]
    statements: tuple[str, ...]


_OTHER_METRICS = ("test/auc", "test/nll", "test/brier_mean", "test/ece10")


def outcome_section(table: TrialTable) -> Section:
    """State each arm's test result and its differences to Base and Random, controls last."""
    return Section(title="Result", place="head", statements=tuple(_outcome_statements(table)))


def main_metric(table: TrialTable) -> str:
    """Return the test metric of the search's objective; test accuracy if it has none."""
    metric = f"test/{table.objective.partition('/')[2]}"
    return metric if metric in TEST_METRICS else "test/accuracy"


def _outcome_statements(table: TrialTable) -> Iterator[str]:
    metric = main_metric(table)
    metrics = tuple(dict.fromkeys((metric, *_OTHER_METRICS)))
    try:
        to_base = compare(table, metrics)
        to_random = compare(table, metrics, against="random")
    except ReportError as error:
        yield f"No test result yet: {error}"
        return
    for row in sorted(to_base.rows, key=lambda row: row.method in CONTROLS):
        found = row.get(metric)
        if found is None:
            yield f"{_arm_name(row)} on {row.dataset}: no test result yet."
            continue
        yield " ".join(
            (
                _outcome_level(row, found),
                *_difference_sentences(row, to_base, metric),
                *_difference_sentences(to_random.row(row.arm), to_random, metric),
                *_other_metrics(row, [m for m in metrics if m != metric]),
            )
        )


def _outcome_level(row: ArmComparison, found: Measurement) -> str:
    return (
        f"{_arm_name(row)} on {row.dataset} reached a {metric_label(found.metric).name} of "
        f"{format_estimate(found.interval, found.metric)}."
    )


def _difference_sentences(
    row: ArmComparison, comparison: Comparison, metric: str
) -> Iterator[str]:
    found = row.get(metric)
    corrected = None if found is None else found.to_control
    if corrected is None:
        return
    control = row.control or comparison.against.capitalize()
    interval = corrected.difference.interval
    significance = format_significance(corrected, metric)
    if corrected.is_significant:
        verdict = "better" if is_better(interval.mean, metric) else "worse"
        side = "above" if interval.mean > 0 else "below"
        difference = format_difference(abs(interval.mean), metric)
        yield f"It is {difference} {side} {control} ({significance}): {verdict} than {control}."
        return
    reason = "" if not interval.excludes(0.0) else " after correction for several comparisons"
    difference = format_difference(interval.mean, metric, is_signed=True)
    power = format_power(corrected, metric)
    significance += f"; {power}" if power else ""
    yield f"No difference to {control} was shown{reason}: {difference} ({significance})."


def _other_metrics(row: ArmComparison, metrics: Sequence[str]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for metric in metrics:
        found = row.get(metric)
        corrected = None if found is None else found.to_control
        if corrected is None:
            continue
        mean = corrected.difference.interval.mean
        better = "better than Base" if is_better(mean, metric) else "worse than Base"
        group = better if corrected.is_significant else "no difference to Base shown"
        groups.setdefault(group, []).append(metric_label(metric).name.removeprefix("test "))
    if groups:
        parts = [f"{group}: {join_words(names)}" for group, names in groups.items()]
        yield f"Other test metrics, {'; '.join(parts)}."


def is_better(difference: float, metric: str) -> bool:
    """Return whether a difference to a control is in the metric's direction."""
    return (difference > 0) == (metric_label(metric).direction == "maximize")


def outcome_word(corrected: CorrectedDifference, metric: str) -> str:
    """Return ``better`` or ``worse`` where a difference is shown, else nothing."""
    if not corrected.is_significant:
        return ""
    return "better" if is_better(corrected.difference.interval.mean, metric) else "worse"


def _arm_name(row: ArmComparison) -> str:
    return arm_label(row.arm, row.method)


def ranks_section(table: TrialTable) -> Section:
    """State the mean ranks of a study with several datasets."""
    statements = tuple(_ranks_statements(table)) if len(workloads(table)) > 1 else ()
    return Section(title="Ranks over the datasets", place="result", statements=statements)


def _ranks_statements(table: TrialTable) -> Iterator[str]:
    try:
        record = average_ranks(table, main_metric(table))
    except ReportError as error:
        yield f"Methods are not ranked: {error}"
        return
    ranks = [f"{arm_label(m.method, m.method)} {m.rank:.2f}" for m in record.methods]
    yield (
        f"Mean ranks by {metric_label(record.metric).name} over {len(record.workloads)} datasets "
        f"(1 is best): {', '.join(ranks)}. {_ranks_conclusion(record)}"
    )


def _ranks_conclusion(record: AverageRanks) -> str:
    test = f"{format_p_value(record.p_value)}, Friedman's test by permutation"
    if record.p_value >= 1 - CONFIDENCE:
        return f"No difference between the methods was shown ({test})."
    groups = [
        join_words([arm_label(method, method) for method in group])
        for group in record.insignificant_groups
    ]
    rest = f" No difference was shown within: {'; '.join(groups)}." if groups else ""
    return (
        f"The methods differ ({test}); two methods differ where their mean ranks are at least "
        f"{record.critical_difference:.2f} apart (Nemenyi, 5%).{rest}"
    )


def transfer_section(table: TrialTable) -> Section:
    """State for each target its own choice and the configurations from other datasets."""
    return Section(
        title="Configurations from other datasets",
        place="result",
        statements=tuple(_transfer_statements(table)),
    )


def _transfer_statements(table: TrialTable) -> Iterator[str]:
    for method in transfer_methods(table):
        try:
            record = transfer(table, method)
        except ReportError as error:
            yield f"{arm_label(method, method)}: no result yet; {error}"
            continue
        metric = main_metric(table)
        for target in record.targets:
            yield _target_statement(
                record, target, metric if metric in TRANSFER_METRICS else TRANSFER_METRICS[0]
            )


def _target_statement(record: Transfer, target: TransferTarget, metric: str) -> str:
    own, *others = target.rows
    parts = [
        _own_clause(record, target, own.get(metric)),
        *(_transferred_clause(record, row, row.get(metric)) for row in others),
    ]
    return f"{_source_name(record, target.arm)} on {target.dataset}: {'; '.join(parts)}."


def _own_clause(record: Transfer, target: TransferTarget, value: TransferValue | None) -> str:
    row = target.rows[0]
    owner = "its own choice"
    if row.source != target.arm:
        owner = f"the choice of {_source_name(record, row.source)}, its own search,"
    if value is None:
        return f"{owner} has {row.note.rstrip('.')}"
    estimate = format_estimate(value.interval, value.metric)
    return f"{owner} reached a {metric_label(value.metric).name} of {estimate}"


def _transferred_clause(record: Transfer, row: TransferRow, value: TransferValue | None) -> str:
    owner = f"that of {_source_name(record, row.source)}"
    if row.note:
        verb = "has" if value is None and not row.is_infeasible else "is"
        return f"{owner} {verb} {row.note.rstrip('.')}"
    assert value is not None
    return f"{owner} {format_estimate(value.interval, value.metric)}{_difference_clause(value)}"


def _difference_clause(value: TransferValue) -> str:
    corrected = value.to_own
    if corrected is None:
        return ""
    mean = corrected.difference.interval.mean
    significance = format_significance(corrected, value.metric)
    if not corrected.is_significant:
        difference = format_difference(mean, value.metric, is_signed=True)
        return f", no difference to the own choice shown: {difference} ({significance})"
    side = "above" if mean > 0 else "below"
    difference = format_difference(abs(mean), value.metric)
    return f", {difference} {side} the own choice ({significance})"


def _source_name(record: Transfer, name: str) -> str:
    return arm_label(name, record.method)
