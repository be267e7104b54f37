"""Values of dimensions as numbers, on the scale on which designs spread them evenly."""

from __future__ import annotations

import math

from search_spaces import CategoricalDimension, Dimension, IntDimension
from study.trial_table import ParamValue


def to_number(axis: Dimension, value: ParamValue) -> float:
    """Give a value's place: itself, its logarithm, or its place among the choices.

    Example:
        >>> to_number(CategoricalDimension(choices=("lrp", "gradient")), "gradient")
        1.0
    """
    if isinstance(axis, CategoricalDimension):
        return float(axis.choices.index(value))
    return math.log(float(value)) if axis.log else float(value)


def to_value(axis: Dimension, number: float) -> ParamValue:
    """Give the value at a place; integers are rounded to the nearest one of the axis."""
    if isinstance(axis, CategoricalDimension):
        return axis.choices[round(number)]
    value = math.exp(number) if axis.log else number
    # Exponential and logarithm may leave the axis by the last bit.
    value = min(max(value, axis.low), axis.high)
    return round(value) if isinstance(axis, IntDimension) else float(value)


def extent(axis: Dimension) -> tuple[float, float]:
    """Give the ends of an axis as numbers; integers reach half a step beyond their last one.

    Designs give every integer a part of the axis for itself, so that the outermost ones weigh as
    much as the others.

    Example:
        >>> extent(IntDimension(low=1, high=10))
        (0.5, 10.5)
    """
    if isinstance(axis, CategoricalDimension):
        return -0.5, len(axis.choices) - 0.5
    half = 0.5 if isinstance(axis, IntDimension) else 0.0
    low, high = axis.low - half, axis.high + half
    return (math.log(low), math.log(high)) if axis.log else (low, high)


def is_single(axis: Dimension) -> bool:
    """Tell whether an axis holds one value alone."""
    if isinstance(axis, CategoricalDimension):
        return len(axis.choices) == 1
    return axis.low == axis.high
