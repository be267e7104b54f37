"""Search spaces: named dimensions, resolved from what a study file says and an arm allows."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search_spaces.dimensions import CategoricalDimension, Dimension, ParamValue
from search_spaces.errors import SpaceError
from search_spaces.rules import Rule

_KEYS = ("low", "high", "log", "choices")


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What an arm searches.

    Attributes:
        dimensions: Name to axis, in the order in which they are proposed.
        fixed: Dimensions that the study file holds at one value.
    """

    dimensions: Mapping[str, Dimension]
    fixed: Mapping[str, ParamValue]


def resolve(
    rules: Mapping[str, Rule], given: Mapping[str, Any], searched: tuple[str, ...]
) -> Space:
    """Make the space of one arm.

    Args:
        rules: What the arm's method has: dimension to what it allows.
        given: What the study file says of some of these dimensions: ``{low, high, log}``, a
            list of choices, or one value, at which the dimension is held.
        searched: The dimensions that are searched even where the file does not mention them.

    Raises:
        SpaceError: If a dimension is unknown, or what is given is of the wrong kind or out of
            the range that the arm allows. The message starts with the dimension.
    """
    for name in given:
        if name not in rules:
            raise SpaceError(f"{name} is not a dimension; {_suggestion(name, rules)}")
    dimensions: dict[str, Dimension] = {}
    fixed: dict[str, ParamValue] = {}
    for name, rule in rules.items():
        if name not in given and name not in searched:
            continue
        entry = given.get(name, {})
        try:
            axis = _axis(rule, entry)
        except SpaceError as error:
            raise SpaceError(
                f"{name}.{error}" if _is_range(entry) else f"{name}: {error}"
            ) from None
        if axis is None:
            fixed[name] = entry
        else:
            dimensions[name] = axis
    return Space(dimensions=dimensions, fixed=fixed)


def check_values(rules: Mapping[str, Rule], name: str, values: tuple[ParamValue, ...]) -> None:
    """Check the values that a sweep takes one dimension through.

    Raises:
        SpaceError: If the dimension is unknown or a value is illegal.
    """
    if name not in rules:
        raise SpaceError(f"{name} is not a dimension; {_suggestion(name, rules)}")
    for value in values:
        rules[name].check(value, f"{name} in 'values'")


def _axis(rule: Rule, entry: Any) -> Dimension | None:  # noqa: ANN401 (straight from YAML)
    if isinstance(entry, Mapping):
        for key in entry:
            if key not in _KEYS:
                raise SpaceError(f"{key} is not a setting; {_suggestion(str(key), _KEYS)}")
        return rule.dimension(entry)
    if isinstance(entry, list | tuple):
        for value in entry:
            rule.check(value, "the choice")
        return CategoricalDimension(choices=tuple(entry))
    rule.check(entry, "the value")
    return None


def _is_range(entry: object) -> bool:
    return isinstance(entry, Mapping)


def _suggestion(name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(known) or 'none'}."
