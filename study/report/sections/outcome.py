"""Does an arm beat its controls on the test set, and how sure is that?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from study.errors import ReportError
from study.report.sections.section import Section
from study.report.wording import PERCENT, amount, certainty, gap, listed, number
from study.sensitivity import (
    CONTROLS,
    TEST_METRICS,
    ArmComparison,
    Comparison,
    Measurement,
    arm_label,
    compare,
    metric_label,
)
from study.trial_table import TrialTable

_OTHERS = ("test/auc", "test/nll", "test/brier_mean", "test/ece10")


def section(table: TrialTable) -> Section:
    """State each arm's test result and its differences to Base and Random, controls last."""
    return Section(title="In short", statements=tuple(_statements(table)))


def main_metric(table: TrialTable) -> str:
    """Give the test metric that the search's objective stands for; test accuracy otherwise."""
    metric = f"test/{table.objective.partition('/')[2]}"
    return metric if metric in TEST_METRICS else "test/accuracy"


def _statements(table: TrialTable) -> Iterator[str]:
    metric = main_metric(table)
    metrics = tuple(dict.fromkeys((metric, *_OTHERS)))
    try:
        to_base = compare(table, metrics)
        to_random = compare(table, metrics, against="random")
    except ReportError as error:
        yield f"No test result can be given yet: {error}"
        return
    for row in sorted(to_base.rows, key=lambda row: row.method in CONTROLS):
        found = row.get(metric)
        if found is None:
            yield f"{_name(row)} on {row.dataset}: no test result yet."
            continue
        yield " ".join(
            (
                _level(row, found),
                *_against(row, to_base, metric),
                *_against(to_random.row(row.arm), to_random, metric),
                *_other_metrics(row, [m for m in metrics if m != metric]),
            )
        )


def _level(row: ArmComparison, found: Measurement) -> str:
    low, high = (number(x, found.metric) for x in (found.interval.low, found.interval.high))
    return (
        f"{_name(row)} on {row.dataset} reached a {metric_label(found.metric).name} of "
        f"{amount(found.interval.mean, found.metric)} ({PERCENT} interval {low} to {high}, "
        f"{found.interval.n} replicas)."
    )


def _against(row: ArmComparison, comparison: Comparison, metric: str) -> Iterator[str]:
    found = row.get(metric)
    corrected = None if found is None else found.to_control
    if corrected is None:
        return
    control = comparison.against.capitalize()
    interval = corrected.difference.interval
    how_sure = certainty(corrected, metric)
    if corrected.is_shown:
        word = "better" if _is_better(interval.mean, metric) else "worse"
        side = "above" if interval.mean > 0 else "below"
        yield (
            f"It is {gap(abs(interval.mean), metric)} {side} {control} ({how_sure}): "
            f"{word} than {control}."
        )
        return
    reason = "" if not interval.excludes(0.0) else " after correction for several comparisons"
    yield (
        f"Against {control} no difference was shown{reason}: "
        f"{gap(interval.mean, metric, is_signed=True)} ({how_sure})."
    )


def _other_metrics(row: ArmComparison, metrics: Sequence[str]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for metric in metrics:
        found = row.get(metric)
        corrected = None if found is None else found.to_control
        if corrected is None:
            continue
        mean = corrected.difference.interval.mean
        better = "better than Base" if _is_better(mean, metric) else "worse than Base"
        group = better if corrected.is_shown else "no difference to Base shown"
        groups.setdefault(group, []).append(metric_label(metric).name.removeprefix("test "))
    if groups:
        parts = [f"{group}: {listed(names)}" for group, names in groups.items()]
        yield f"Other test metrics, {'; '.join(parts)}."


def _is_better(difference: float, metric: str) -> bool:
    return (difference > 0) == (metric_label(metric).direction == "maximise")


def _name(row: ArmComparison) -> str:
    return arm_label(row.arm, row.method)
