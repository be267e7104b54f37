"""Search spaces: named dimensions, resolved from a study file and an arm's rules."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from search_spaces.dimensions import CategoricalDimension, Dimension, ParamValue, SpaceError
from search_spaces.rules import Condition, Rule

_KEYS = ("low", "high", "log")
_MOST_CHOICES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The search space of an arm.

    Attributes:
        dimensions: Name to axis, in the order in which they are proposed.
        fixed: Dimensions that the study file fixes at one value.
        conditions: Choices of other dimensions without which some are not proposed.
    """

    dimensions: Mapping[str, Dimension]
    fixed: Mapping[str, ParamValue]
    conditions: Mapping[str, Condition] = field(default_factory=dict)

    def is_active(self, name: str, params: Mapping[str, ParamValue]) -> bool:
        """Return whether a dimension has an effect, given the values before it."""
        condition = self.conditions.get(name)
        return condition is None or params.get(condition.dimension) == condition.value


def resolve(
    rules: Mapping[str, Rule], given: Mapping[str, Any], held: Collection[str] = ()
) -> Space:
    """Resolve the space of one arm.

    Args:
        rules: Parameter to its rule, in the order in which they are proposed.
        given: Dimensions of the study file: ``{low, high, log}``, a list of choices, or one
            value, at which the dimension is fixed.
        held: Parameters that are set elsewhere, and therefore not searched by default.

    Raises:
        SpaceError: If a dimension is unknown, or a given value has the wrong type or violates
            the rule. The message starts with the dimension.
    """
    for name in given:
        _require_known(rules, name)
    dimensions: dict[str, Dimension] = {}
    fixed: dict[str, ParamValue] = {}
    for name, rule in rules.items():
        if name not in given and (name in held or not rule.is_searched):
            continue
        entry = given.get(name, {})
        try:
            axis = _axis(rule, entry)
            if axis is None:
                fixed[name] = rule.check(entry, "the value")
            else:
                dimensions[name] = axis
        except SpaceError as error:
            dot = "." if isinstance(entry, Mapping) else ": "
            raise SpaceError(f"{name}{dot}{error}") from None
    conditions = {
        name: condition
        for name in dimensions
        if (condition := rules[name].condition) and condition.dimension in dimensions
    }
    openers = {condition.dimension for condition in conditions.values()}
    openers_first = sorted(dimensions, key=lambda name: name not in openers)
    return Space(
        dimensions={name: dimensions[name] for name in openers_first},
        fixed=fixed,
        conditions=conditions,
    )


def check_values(
    rules: Mapping[str, Rule], name: str, values: tuple[ParamValue, ...]
) -> tuple[ParamValue, ...]:
    """Return the checked values of a sweep, integers as real numbers for a real dimension.

    Raises:
        SpaceError: If the dimension is unknown or a value is illegal.
    """
    _require_known(rules, name)
    return tuple(rules[name].check(value, name) for value in values)


def _require_known(rules: Mapping[str, Rule], name: str) -> None:
    if name not in rules:
        raise SpaceError(f"{name} is not a dimension; {_suggestion(name, rules)}")


def _axis(rule: Rule, entry: Any) -> Dimension | None:  # noqa: ANN401 (straight from YAML)
    if isinstance(entry, Mapping):
        _check_keys(entry)
        return rule.dimension(entry)
    if isinstance(entry, list | tuple):
        return _choices(rule, entry)
    return None


def _check_keys(entry: Mapping[str, Any]) -> None:
    for key in entry:
        if key == "choices":
            raise SpaceError("choices is not a setting; give the list itself, such as [1, 2, 5].")
        if key not in _KEYS:
            shown = ascii(str(key)[:80])[1:-1]
            raise SpaceError(f"{shown} is not a setting; {_suggestion(str(key), _KEYS)}")
    log = entry.get("log", False)
    if type(log) is not bool:
        raise SpaceError(f"log must be true or false, got {_shown(log)}.")


def _choices(rule: Rule, entry: Sequence[object]) -> CategoricalDimension:
    if len(entry) > _MOST_CHOICES:
        raise SpaceError(f"choices must be at most {_MOST_CHOICES}, got {len(entry)}.")
    choices = tuple(rule.check(value, "each choice") for value in entry)
    if len({type(value) for value in choices}) > 1:
        raise SpaceError(f"choices must be of one kind, got {_shown(list(entry))}.")
    return CategoricalDimension(choices=choices)


def _shown(value: object) -> str:
    text = reprlib.repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _suggestion(name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name[:80], list(known), n=1)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known) or 'none'}."
