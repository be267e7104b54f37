"""What a dimension of a named space allows, and what it is searched over by default."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from search_spaces.dimensions import (
    CategoricalDimension,
    Dimension,
    FloatDimension,
    IntDimension,
    ParamValue,
    SpaceError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an arm allows.

    Attributes:
        dataset: Name of its dataset, for messages.
        n_classes: Number of classes C.
        n_features: Number of input features D.
        attributions: Names of the attributions there are.
        is_image: Whether its samples are images.
    """

    dataset: str
    n_classes: int
    n_features: int
    attributions: tuple[str, ...] = ("epsilon_lrp",)
    is_image: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Where the values of a dimension must lie.

    Attributes:
        low: Smallest legal value.
        high: Largest legal value; infinite if there is none.
        is_open_below: Whether ``low`` itself is illegal.
        is_open_above: Whether ``high`` itself is illegal.
        reason: What sets the upper end, for messages: ``the dataset has 10 classes``.
    """

    low: float
    high: float = math.inf
    is_open_below: bool = False
    is_open_above: bool = False
    reason: str = ""

    def allow(self, value: float) -> bool:
        """Tell whether a value is legal; infinity never is."""
        if math.isinf(value):
            return False
        above = self.low < value if self.is_open_below else self.low <= value
        below = value < self.high if self.is_open_above else value <= self.high
        return above and below

    def __str__(self) -> str:
        """Write the interval as in mathematics."""
        if self.high == math.inf:
            return f"in {'(' if self.is_open_below else '['}{self.low:g}, ∞)"
        left = "(" if self.is_open_below else "["
        right = ")" if self.is_open_above else "]"
        return f"in {left}{self.low:g}, {self.high:g}{right}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerRule:
    """A dimension of counts."""

    bounds: Bounds
    default: IntDimension

    def dimension(self, given: Mapping[str, Any]) -> IntDimension:
        """Make the dimension of given ``low``, ``high`` and ``log``; the rest is default."""
        low = self.check(given.get("low", self.default.low), "low")
        high = self.check(given.get("high", self.default.high), "high")
        _check_order(given, low, high)
        return IntDimension(low=low, high=high, log=given.get("log", self.default.log))

    def check(self, value: object, what: str) -> int:
        """Give a legal value; refuse any other."""
        if type(value) is not int:
            raise SpaceError(f"{what} must be an integer, got {value!r}.")
        _check(self.bounds, value, what)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class RealRule:
    """A dimension of real numbers."""

    bounds: Bounds
    default: FloatDimension

    def dimension(self, given: Mapping[str, Any]) -> FloatDimension:
        """Make the dimension of given ``low``, ``high`` and ``log``; the rest is default."""
        low = self.check(given.get("low", self.default.low), "low")
        high = self.check(given.get("high", self.default.high), "high")
        _check_order(given, low, high)
        return FloatDimension(low=low, high=high, log=given.get("log", self.default.log))

    def check(self, value: object, what: str) -> float:
        """Give a legal value, an integer as a real number; refuse any other."""
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise SpaceError(f"{what} must be a number, got {value!r}.")
        _check(self.bounds, float(value), what)
        return float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareOrCountRule:
    """A dimension that is a share if its values are real, and a count if they are integers."""

    share: RealRule
    count: IntegerRule

    def dimension(self, given: Mapping[str, Any]) -> Dimension:
        """Make a dimension of shares or of counts, by the kind of the given ends."""
        ends = [given[end] for end in ("low", "high") if end in given]
        if {type(end) for end in ends} == {int, float}:
            raise SpaceError(
                "low and high must be two shares such as 0.01 and 1.0, or two counts such as 1 "
                f"and 20, got low {ends[0]!r} and high {ends[1]!r}."
            )
        rule = self.count if ends and type(ends[0]) is int else self.share
        return rule.dimension(given)

    def check(self, value: object, what: str) -> int | float:
        """Give a legal value; refuse any other."""
        rule = self.count if type(value) is int else self.share
        return rule.check(value, what)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceRule:
    """A dimension that chooses among names."""

    choices: tuple[ParamValue, ...]

    def dimension(self, given: Mapping[str, Any]) -> CategoricalDimension:
        """Make the dimension of all choices."""
        for key in given:
            raise SpaceError(f"{key} is not a setting of choices; write a list of some of them.")
        return CategoricalDimension(choices=self.choices)

    def check(self, value: object, what: str) -> ParamValue:
        """Give a known choice; refuse any other."""
        for choice in self.choices:
            if (type(choice), choice) == (type(value), value):
                return choice
        known = ", ".join(map(str, self.choices))
        raise SpaceError(f"{what} must be among {known}, got {value!r}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What must be chosen for a dimension to have an effect.

    Attributes:
        dimension: Another dimension, of choices.
        value: Its choice that opens this one.
    """

    dimension: str
    value: ParamValue


Rule: TypeAlias = IntegerRule | RealRule | ShareOrCountRule | ChoiceRule


def _check_order(given: Mapping[str, Any], low: float, high: float) -> None:
    # Given both, the dimension itself checks them.
    if low > high and not {"low", "high"} <= given.keys():
        default = "low" if "high" in given else "high"
        raise SpaceError(
            f"low must not exceed high, got low {low} and high {high}, where {default} is the "
            f"default; give {default} as well."
        )


def _check(bounds: Bounds, value: float, what: str) -> None:
    if bounds.allow(value):
        return
    if value > bounds.high and bounds.reason:
        raise SpaceError(
            f"{what} is {value:g}, but {bounds.reason}; lower it to {bounds.high:g} or less."
        )
    raise SpaceError(f"{what} must lie {bounds}, got {value:g}.")
