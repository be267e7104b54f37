"""Numbers as charts show them: means with intervals, signs, and units that show a difference."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from study.records.trial_table import ParamValue
from study.sensitivity import CorrectedDifference, Interval, metric_label


def measured(interval: Interval, metric: str) -> str:
    """Return a mean in its shown unit with its interval and n: ``71.1% [68.0, 74.2], n = 5``."""
    label = metric_label(metric)
    mean, low, high = (
        f"{value * label.factor:.{label.digits}f}".replace("-", "−")
        for value in (interval.mean, interval.low, interval.high)
    )
    unit = label.unit if label.unit == "%" else f" {label.unit}".rstrip()
    return f"{mean}{unit} [{low}, {high}], n = {interval.n}"


def interval_row(
    interval: Interval,
    factor: float,
    *,
    told: str,
    **places: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Return a mean with its ends as shown, as a row of a chart's data."""
    ends = {"low": interval.low * factor, "high": interval.high * factor}
    return {"y": interval.mean * factor, **ends, "told": told, **places}


def difference_row(
    corrected: CorrectedDifference,
    factor: float,
    unit: str,
    *,
    where: str,
    **places: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """Return a difference to Base as a row of a chart's data, filled where it is shown."""
    interval = corrected.difference.interval
    mean, low, high = (signed(v * factor) for v in (interval.mean, interval.low, interval.high))
    told = f"{where}\n{mean} [{low}, {high}] {unit}".rstrip()
    told += f"\np = {corrected.p_holm:.3g} after Holm"
    return interval_row(interval, factor, told=told, is_filled=corrected.is_significant, **places)


def rounded(value: float, digits: int) -> str:
    """Return a number with its sign and this many decimals; a zero has no sign.

    Example:
        >>> rounded(-0.724, 1), rounded(0.01, 1)
        ('−0.7', '0.0')
    """
    text = f"{value:+.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("+-")


def signed(value: float) -> str:
    """Return a number with its sign and three significant digits.

    Example:
        >>> signed(-0.01234), signed(12.0), signed(0.0)
        ('−0.0123', '+12', '0')
    """
    if not value:
        return "0"
    return f"{value:+.3g}".replace("-", "−")


def p_value(value: float) -> str:
    """Return a p value without its leading zero: ``p = .012``, ``p < .001``, ``p = 1``."""
    if value < 0.001:
        return "p < .001"
    return f"p = {value:.3f}".replace("0.", ".").replace("1.000", "1")


def plain(value: ParamValue) -> str:
    """Return a parameter: a float with three significant digits, all else as it is."""
    return f"{value:.3g}" if isinstance(value, float) else str(value).replace("_", " ")


def power_of_ten(values: Iterable[float]) -> tuple[float, str]:
    """Return a factor, and the name of its unit, that brings small values to 1 and above.

    Example:
        >>> power_of_ten([-0.00034, 0.0001])
        (10000.0, '0.0001')
    """
    largest = max((abs(value) for value in values), default=0.0)
    if largest == 0 or largest >= 0.1:
        return 1.0, ""
    exponent = math.floor(math.log10(largest))
    return float(10**-exponent), f"{10.0**exponent:.{-exponent}f}"
