"""What varies in a study: dimensions, named spaces and designs.

One file per named space and one line in ``SPACES``. Only :mod:`search_spaces.optuna_space`
knows Optuna.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from search_spaces.challenger import SEARCHED as CHALLENGER_SEARCHED
from search_spaces.challenger import challenger_rules
from search_spaces.designs import distinct, sweep
from search_spaces.dimensions import (
    CategoricalDimension,
    Dimension,
    FloatDimension,
    IntDimension,
    ParamValue,
)
from search_spaces.errors import SpaceError
from search_spaces.random import SEARCHED as RANDOM_SEARCHED
from search_spaces.random import challenge_rules
from search_spaces.rules import Limits, Rule
from search_spaces.space import Space, check_values, resolve


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSpace:
    """The space of one method.

    Attributes:
        rules: What each dimension allows, given what a dataset allows.
        searched: Dimensions that are searched unless a study file says otherwise.
    """

    rules: Callable[[Limits], Mapping[str, Rule]]
    searched: tuple[str, ...]


# A method that is not here has nothing to search.
SPACES: Mapping[str, NamedSpace] = {
    "challenger": NamedSpace(rules=challenger_rules, searched=CHALLENGER_SEARCHED),
    "random": NamedSpace(rules=challenge_rules, searched=RANDOM_SEARCHED),
}

__all__ = [
    "SPACES",
    "CategoricalDimension",
    "Dimension",
    "FloatDimension",
    "IntDimension",
    "Limits",
    "NamedSpace",
    "ParamValue",
    "Rule",
    "Space",
    "SpaceError",
    "check_values",
    "distinct",
    "resolve",
    "sweep",
]
