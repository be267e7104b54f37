"""Text of numbers: values, intervals, differences and p values, with units and signs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from study.records.labels import dimension_symbol, metric_label
from study.records.trial_table import ParamValue, TrialState
from study.sensitivity import (
    CONFIDENCE,
    POWER,
    CorrectedDifference,
    Interval,
    detectable_difference,
)

CONFIDENCE_PERCENT = f"{CONFIDENCE:.0%}"
"""The confidence of the report's intervals, as text."""

ABSENT = "–"
"""Text of a cell without a value."""

STATE_NAMES: Mapping[TrialState, str] = MappingProxyType(
    {
        "COMPLETE": "completed",
        "PRUNED": "stopped early",
        "FAIL": "failed",
        "RUNNING": "still running",
    }
)
"""States of trials as text, in the order in which they are counted."""


def format_metric(
    value: float, metric: str, *, is_signed: bool = False, digits: int | None = None
) -> str:
    """Return a metric's value in its shown unit, without the unit's name.

    A difference has at least one significant digit, and a zero no sign.

    Args:
        value: The value, in the unit that is stored.
        metric: Key of the metric.
        is_signed: Whether it is a difference, with its sign.
        digits: Decimals; by default those of the metric, and more for a small difference.

    Example:
        >>> format_metric(0.71063, "test/accuracy")
        '71.1'
        >>> format_metric(-0.0000312, "filter_cosine/mean", is_signed=True)
        '−0.00003'
    """
    label = metric_label(metric)
    if digits is None:
        digits = _digits([value], metric, significant=1) if is_signed else label.digits
    text = f"{value * label.factor:{'+' if is_signed else ''}.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("+-")


def _digits(values: Sequence[float], metric: str, *, significant: int) -> int:
    """Return the metric's decimals, or more where the largest value has too few digits.

    What needs more than six further decimals is rounding.
    """
    label = metric_label(metric)
    largest = max(abs(value * label.factor) for value in values)
    needed = significant - 1 - math.floor(math.log10(largest)) if largest else 0
    return max(label.digits, needed) if needed <= label.digits + 6 else label.digits


def format_interval(interval: Interval, metric: str, *, is_signed: bool = False) -> str:
    """Return a mean with its interval for a table: ``71.1 [68.0, 74.2]``."""
    mean, low, high = _mean_and_ends(interval, metric, is_signed=is_signed)
    return f"{mean} [{low}, {high}]"


def format_difference_interval(interval: Interval, metric: str) -> str:
    """Return a difference with unit and interval: ``+2.1 percentage points [+0.3, +3.9]``."""
    mean, low, high = _mean_and_ends(interval, metric, is_signed=True)
    return f"{mean} {metric_label(metric).difference_unit}".rstrip() + f" [{low}, {high}]"


def _mean_and_ends(interval: Interval, metric: str, *, is_signed: bool) -> tuple[str, str, str]:
    values = (interval.mean, interval.low, interval.high)
    digits = _digits(values, metric, significant=2) if is_signed else None
    mean, low, high = (
        format_metric(value, metric, is_signed=is_signed, digits=digits) for value in values
    )
    return mean, low, high


def format_with_unit(value: float, metric: str) -> str:
    """Return a value with its unit for a sentence: ``71.1%``, ``0.104``, ``3.130 nats``."""
    unit = metric_label(metric).unit
    return format_metric(value, metric) + ("" if not unit else unit if unit == "%" else f" {unit}")


def format_estimate(interval: Interval, metric: str) -> str:
    """Return a mean for a sentence: ``71.1% (95% interval 68.0 to 74.2, 5 replicas)``."""
    low, high = (format_metric(x, metric) for x in (interval.low, interval.high))
    return (
        f"{format_with_unit(interval.mean, metric)} ({CONFIDENCE_PERCENT} interval {low} to "
        f"{high}, {interval.n} replicas)"
    )


def format_difference(value: float, metric: str, *, is_signed: bool = False) -> str:
    """Return a difference with its unit for a sentence: ``+2.1 percentage points``."""
    unit = metric_label(metric).difference_unit
    return f"{format_metric(value, metric, is_signed=is_signed)} {unit}".rstrip()


def format_corrected(corrected: CorrectedDifference | None, metric: str) -> str:
    """Return a paired difference for a table: ``+2.1 [+0.3, +3.9], p = 0.021``."""
    if corrected is None:
        return ABSENT
    interval = format_interval(corrected.difference.interval, metric, is_signed=True)
    return f"{interval}, {format_p_value(corrected.p_holm)}"


def format_significance(corrected: CorrectedDifference, metric: str) -> str:
    """Return the interval, p value and family of a difference for a sentence."""
    _, low, high = _mean_and_ends(corrected.difference.interval, metric, is_signed=True)
    family = (
        f", Holm-corrected over {corrected.family} comparisons" if corrected.family > 1 else ""
    )
    p = format_p_value(corrected.p_holm)
    return f"{CONFIDENCE_PERCENT} interval {low} to {high}; {p}{family}"


def format_power(corrected: CorrectedDifference, metric: str) -> str:
    """Return what the replicas of a comparison could have shown: ``5 seeds show 7.3 or more …``.

    Empty where all differences are equal.
    """
    least = detectable_difference(corrected.difference, family=corrected.family)
    if least is None:
        return ""
    return (
        f"{corrected.difference.n} seeds of this spread show {format_metric(least, metric)} or "
        f"more in {POWER:.0%} of studies"
    )


def format_p_value(p: float) -> str:
    """Return a p value as text: ``p = 0.012``, ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.0995 else f"p = {p:.2f}"


def format_params(params: Mapping[str, ParamValue]) -> str:
    """Return a configuration with the paper's symbols: ``K = 5, N = 0.12``."""
    return (
        ", ".join(f"{dimension_symbol(k)} = {format_value(v)}" for k, v in params.items())
        or "none"
    )


def format_value(value: ParamValue) -> str:
    """Return a param as text, a float with three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def format_count(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 trial``, ``3 trials``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def join_words(items: Sequence[str]) -> str:
    """Return items joined for a sentence: ``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def format_percent(share: float, factor: float = 100.0) -> str:
    """Return a share in whole percent, or with two decimals where ``factor`` is 1.

    Example:
        >>> format_percent(-0.041)
        '−4'
    """
    digits = 0 if factor == 100.0 else 2
    # Adding 0.0 makes a rounded -0 a 0.
    return f"{round(share * factor, digits) + 0.0:.{digits}f}".replace("-", "−")
