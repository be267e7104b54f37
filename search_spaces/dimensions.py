"""Dimensions: the axes of a search space."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias


class SpaceError(Exception):
    """A dimension is unknown, of the wrong kind or out of its range."""


ParamValue: TypeAlias = int | float | str | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class IntDimension:
    """Integers from ``low`` to ``high``, both included.

    Attributes:
        low: Smallest value.
        high: Largest value.
        log: Whether the sampler works on a logarithmic scale.
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        """Check the range."""
        _check_range(self.low, self.high, log=self.log)

    def __contains__(self, value: object) -> bool:
        """Return whether a value lies on this axis."""
        return type(value) is int and self.low <= value <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatDimension:
    """Real numbers from ``low`` to ``high``, both included.

    Attributes:
        low: Smallest value.
        high: Largest value.
        log: Whether the sampler works on a logarithmic scale.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        """Check the range."""
        _check_range(self.low, self.high, log=self.log)

    def __contains__(self, value: object) -> bool:
        """Return whether a value lies on this axis."""
        return type(value) in (int, float) and self.low <= float(str(value)) <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoricalDimension:
    """A choice among values without order."""

    choices: tuple[ParamValue, ...]

    def __post_init__(self) -> None:
        """Check that there are choices, and no duplicates."""
        if not self.choices:
            raise SpaceError("choices must hold at least one value, got none.")
        if len(set(self.choices)) != len(self.choices):
            raise SpaceError(f"choices must differ from each other, got {list(self.choices)[:8]}.")

    def __contains__(self, value: object) -> bool:
        """Return whether a value is one of the choices; true is not 1."""
        return any(type(value) is type(choice) and value == choice for choice in self.choices)


Dimension: TypeAlias = IntDimension | FloatDimension | CategoricalDimension


def _check_range(low: float, high: float, *, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise SpaceError(f"low and high must be finite, got low {low} and high {high}.")
    if low > high:
        raise SpaceError(f"low must not exceed high, got low {low} and high {high}; swap them.")
    if log and low <= 0:
        raise SpaceError(f"low must be above 0 on a logarithmic scale, got {low}.")
