"""Rules of parameters: legal values and default dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

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
    """Facts of a dataset that limit or scale parameters.

    Attributes:
        dataset: Name of the dataset, for messages.
        n_classes: Number of classes C.
        n_features: Number of input features D.
        spread: Spread of the data, in units of the model's inputs.
    """

    dataset: str
    n_classes: int
    n_features: int
    spread: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A choice without which a dimension has no effect.

    Attributes:
        dimension: Another, categorical dimension.
        value: Its choice that activates this one.
    """

    dimension: str
    value: ParamValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One parameter as a dimension.

    Attributes:
        check: Function of a value and its name that returns the legal value, integers as real
            numbers for real parameters, or raises a SpaceError.
        default: Default dimension; None if a study file must give both ends.
        counts: Default for integer ends, of a parameter that is a fraction or a count.
        is_searched: Whether it is searched unless a study file names it.
        condition: Choice without which it has no effect, or None.
    """

    check: Callable[[object, str], ParamValue]
    default: Dimension | None = None
    counts: IntDimension | None = None
    is_searched: bool = False
    condition: Condition | None = None

    def dimension(self, given: Mapping[str, Any]) -> Dimension:
        """Return the dimension of given ``low``, ``high`` and ``log``, or their defaults."""
        default = self._default(given)
        if isinstance(default, CategoricalDimension):
            if key := next(iter(given), ""):
                raise SpaceError(
                    f"{key} is not a setting of choices; write a list of some of them."
                )
            return default
        ends: list[Any] = []
        for end in ("low", "high"):
            if end not in given and default is None:
                raise SpaceError(f"{end} is missing; this parameter has no range of its own.")
            ends.append(self.check(given[end] if end in given else getattr(default, end), end))
        low, high = ends
        _check_order(given, low, high)
        log = given.get("log", default is not None and default.log)
        if type(low) is int:
            return IntDimension(low=low, high=high, log=log)
        return FloatDimension(low=low, high=high, log=log)

    def _default(self, given: Mapping[str, Any]) -> Dimension | None:
        ends = [given[end] for end in ("low", "high") if end in given]
        if self.counts is None or not ends:
            return self.default
        if {type(end) for end in ends} == {int, float}:
            raise SpaceError(
                "low and high must be two shares such as 0.01 and 1.0, or two counts such as 1 "
                f"and 20, got low {ends[0]!r} and high {ends[1]!r}."
            )
        return self.counts if type(ends[0]) is int else self.default


def wider_ends(
    rules: Mapping[str, Rule], dimensions: Mapping[str, Dimension]
) -> dict[str, tuple[float | None, float | None]]:
    """Return the next ends to try beyond each range of numbers, low and high; None if illegal.

    Beyond it lies a range of the same length, or a half or a quarter of it where the rule allows
    no more; on a logarithmic axis in the logarithm. A positive low end is divided by 4, 2 or √2.
    """
    return {
        name: (_legal_end(rules[name], axis, -1), _legal_end(rules[name], axis, 1))
        for name, axis in dimensions.items()
        if not isinstance(axis, CategoricalDimension)
    }


def _legal_end(
    rule: Rule, axis: IntDimension | FloatDimension, side: Literal[-1, 1]
) -> float | None:
    end = axis.low if side < 0 else axis.high
    for share in (1.0, 0.5, 0.25):
        if axis.log:
            value = end * (axis.high / axis.low) ** (side * share)
        elif side < 0 < end:
            value = end * 4.0**-share
        else:
            value = end + side * share * (axis.high - axis.low)
        is_int = isinstance(axis, IntDimension)
        value = math.floor(value * side) * side if is_int else float(f"{value:.2g}")
        try:
            legal = rule.check(value, "the end")
        except SpaceError:
            continue
        if (float(legal) - end) * side > 0:
            return float(legal) if not is_int else int(legal)
    return None


def _check_order(given: Mapping[str, Any], low: float, high: float) -> None:
    # The dimension itself checks two given ends.
    if low > high and not {"low", "high"} <= given.keys():
        default = "low" if "high" in given else "high"
        raise SpaceError(
            f"low must not exceed high, got low {low} and high {high}, where {default} is the "
            f"default; give {default} as well."
        )
