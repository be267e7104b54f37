"""From the unit interval to an axis: the value below which a share of it lies."""

from __future__ import annotations

import math

from search_spaces.dimensions import (
    CategoricalDimension,
    Dimension,
    IntDimension,
    ParamValue,
)


def value_at(axis: Dimension, share: float) -> ParamValue:
    """Give the value of an axis at a share of it.

    Shares that are spread evenly over the unit interval give values that are spread evenly over
    the axis: over its logarithm on a logarithmic scale. Every integer and every choice has a part
    of the interval for itself, of equal length but for integers on a logarithmic scale, where k
    has from log(k - ½) to log(k + ½), as in Optuna.

    Args:
        axis: The axis.
        share: In [0, 1).

    Example:
        >>> from search_spaces.dimensions import FloatDimension
        >>> [value_at(IntDimension(low=1, high=4), share) for share in (0.0, 0.24, 0.25, 0.99)]
        [1, 1, 2, 4]
        >>> round(value_at(FloatDimension(low=0.01, high=1.0, log=True), 0.5), 12)
        0.1
    """
    if isinstance(axis, CategoricalDimension):
        return axis.choices[int(share * len(axis.choices))]
    if isinstance(axis, IntDimension):
        return _integer_at(axis, share)
    value = _between(axis.low, axis.high, share, log=axis.log)
    # Rounding may leave the axis by the last bit.
    return min(max(value, float(axis.low)), float(axis.high))


def _integer_at(axis: IntDimension, share: float) -> int:
    if axis.log:
        value = round(_between(axis.low - 0.5, axis.high + 0.5, share, log=True))
    else:
        value = axis.low + int(share * (axis.high - axis.low + 1))
    return min(max(value, axis.low), axis.high)


def _between(low: float, high: float, share: float, *, log: bool) -> float:
    if log:
        return math.exp(_between(math.log(low), math.log(high), share, log=False))
    return low + share * (high - low)
