"""Rules for tests: a count, an amount, a share or a count, and a choice."""

from __future__ import annotations

from search_spaces import (
    CategoricalDimension,
    Condition,
    FloatDimension,
    IntDimension,
    ParamValue,
    Rule,
    Space,
    SpaceError,
)


def check(value: object, what: str) -> ParamValue:
    """Accept integers."""
    if type(value) is not int or not 1 <= value <= 5:
        raise SpaceError(f"{what} must be a count of 1 to 5, got {value!r}.")
    return value


def check_real(value: object, what: str) -> ParamValue:
    """Accept real numbers from 0, and integers as such."""
    if type(value) not in (int, float) or not float(str(value)) >= 0:
        raise SpaceError(f"{what} must be 0 or more, got {value!r}.")
    return float(str(value))


def check_either(value: object, what: str) -> ParamValue:
    """Accept a share, or a count from 1 to 5."""
    return check(value, what) if type(value) is int else check_real(value, what)


def check_name(value: object, what: str) -> ParamValue:
    """Accept two names."""
    if value not in ("pixel", "block"):
        raise SpaceError(f"{what} must be among pixel, block, got {value!r}.")
    return str(value)


COUNT = Rule(check=check, default=IntDimension(low=1, high=5), is_searched=True)
AMOUNT = Rule(check=check_real, default=FloatDimension(low=0.1, high=2.0), is_searched=True)
FEATURES = Rule(
    check=check_either,
    default=FloatDimension(low=0.01, high=0.3),
    counts=IntDimension(low=1, high=5),
    is_searched=True,
)
BARE = Rule(check=check_real)
NAMES = Rule(check=check_name, default=CategoricalDimension(choices=("pixel", "block")))
OPENED = Rule(
    check=check_real,
    default=FloatDimension(low=0.2, high=0.8),
    is_searched=True,
    condition=Condition(dimension="variant", value="pixel"),
)

RULES = {
    "top_k": COUNT,
    "n_features": FEATURES,
    "alpha": AMOUNT,
    "variant": NAMES,
    "mix": OPENED,
    "lr": BARE,
}

VARIANTS = Space(
    dimensions={
        "variant": CategoricalDimension(choices=("pixel", "block")),
        "mix": FloatDimension(low=0.0, high=1.0),
        "max_area": FloatDimension(low=0.1, high=0.9),
    },
    fixed={},
    conditions={
        "mix": Condition(dimension="variant", value="pixel"),
        "max_area": Condition(dimension="variant", value="block"),
    },
)
