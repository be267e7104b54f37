"""Checks that settings make of themselves: the field first, then the rule, then the value."""

from __future__ import annotations

from trainables.errors import ConfigError


def require(holds: bool, field: str, rule: str, value: object) -> None:
    """Raise a ConfigError that names the field, what must hold and what came.

    Example:
        >>> require(0.5 > 1, "width", "must be above 1", 0.5)
        Traceback (most recent call last):
        trainables.errors.ConfigError: width must be above 1, got 0.5.
    """
    if not holds:
        raise ConfigError(f"{field} {rule}, got {value!r}.")
