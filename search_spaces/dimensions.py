"""Dimensions: the axes of a search space."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias


class SpaceError(Exception):
    """A dimension is unknown, of the wrong kind or out of its range."""


ParamValue: TypeAlias = int | float | str | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Range:
    """Numbers from ``low`` to ``high``, both included, on a linear or logarithmic scale."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        """Check the range."""
        ends = f"got low {self.low} and high {self.high}"
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise SpaceError(f"low and high must be finite, {ends}.")
        if self.low > self.high:
            raise SpaceError(f"low must not exceed high, {ends}; swap them.")
        if self.log and self.low <= 0:
            raise SpaceError(f"low must be above 0 on a logarithmic scale, got {self.low}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class IntDimension(_Range):
    """Integers of a range."""

    low: int
    high: int

    def __contains__(self, value: object) -> bool:
        """Return whether a value lies on this axis."""
        return type(value) is int and self.low <= value <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatDimension(_Range):
    """Real numbers of a range."""

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
