"""Numbers as words: values, intervals, differences and p values, with units and signs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from study.records.trial_table import ParamValue, TrialState
from study.sensitivity import (
    CONFIDENCE,
    CorrectedDifference,
    Interval,
    dimension_symbol,
    metric_label,
)

CONFIDENCE_PERCENT = f"{CONFIDENCE:.0%}"
"""The confidence of the report's intervals, as text."""

STATE_NAMES: Mapping[TrialState, str] = MappingProxyType(
    {
        "COMPLETE": "completed",
        "PRUNED": "stopped early",
        "FAIL": "failed",
        "RUNNING": "still running",
    }
)
"""States of trials in words, in the order in which they are counted."""


def number(value: float, metric: str, *, is_signed: bool = False) -> str:
    """Write a metric's value in its shown unit, without naming the unit.

    Example:
        >>> number(0.71063, "test/accuracy")
        '71.1'
    """
    label = metric_label(metric)
    text = f"{value * label.factor:{'+' if is_signed else ''}.{label.digits}f}"
    return text.replace("-", "−")


def format_interval(interval: Interval, metric: str, *, is_signed: bool = False) -> str:
    """Write a mean with its interval for a table: ``71.1 [68.0, 74.2]``."""
    mean, low, high = (
        number(value, metric, is_signed=is_signed)
        for value in (interval.mean, interval.low, interval.high)
    )
    return f"{mean} [{low}, {high}]"


def format_with_unit(value: float, metric: str) -> str:
    """Write a value with its unit for a sentence: ``71.1%``, ``0.104``, ``3.130 nats``."""
    unit = metric_label(metric).unit
    return number(value, metric) + ("" if not unit else unit if unit == "%" else f" {unit}")


def format_difference(value: float, metric: str, *, is_signed: bool = False) -> str:
    """Write a difference with its unit for a sentence: ``+2.1 percentage points``."""
    unit = metric_label(metric).difference_unit
    return f"{number(value, metric, is_signed=is_signed)} {unit}".rstrip()


def format_significance(corrected: CorrectedDifference, metric: str) -> str:
    """Write how sure a difference is: its interval, p value and family."""
    interval = corrected.difference.interval
    low, high = (number(x, metric, is_signed=True) for x in (interval.low, interval.high))
    family = (
        f", Holm-corrected over {corrected.family} comparisons"
        if corrected.family > 1
        else ", the only comparison of its family"
    )
    return f"{CONFIDENCE_PERCENT} interval {low} to {high}; {p_value(corrected.p_holm)}{family}"


def p_value(p: float) -> str:
    """Write a p value: ``p = 0.012``, ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.0995 else f"p = {p:.2f}"


def format_params(params: Mapping[str, ParamValue]) -> str:
    """Write a configuration with the paper's symbols: ``K = 5, N = 0.12``."""
    return (
        ", ".join(f"{dimension_symbol(k)} = {format_value(v)}" for k, v in params.items())
        or "none"
    )


def format_value(value: ParamValue) -> str:
    """Write a param: a float with three significant digits, all else as it is."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def format_count(count: int, thing: str) -> str:
    """Write a count with its noun: ``1 trial``, ``3 trials``."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def join_words(items: Sequence[str]) -> str:
    """Join items as a sentence does: ``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
