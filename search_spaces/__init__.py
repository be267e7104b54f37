"""What varies in a study: dimensions, named spaces and designs.

One file per named space and one line in ``SPACES``. Only :mod:`search_spaces.optuna_sampler`
knows Optuna.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from search_spaces.challenger import SEARCHED as CHALLENGER_SEARCHED
from search_spaces.challenger import challenger_rules
from search_spaces.cutmix import SEARCHED as CUTMIX_SEARCHED
from search_spaces.cutmix import cutmix_rules
from search_spaces.designs import (
    DESIGNS,
    Design,
    Saltelli,
    Sobol,
    check_design,
    design_point,
    design_points,
    sweep,
    unique,
)
from search_spaces.dimensions import (
    CategoricalDimension,
    Dimension,
    FloatDimension,
    IntDimension,
    ParamValue,
    SpaceError,
)
from search_spaces.fgsm import SEARCHED as FGSM_SEARCHED
from search_spaces.fgsm import attack_rules
from search_spaces.mixup import SEARCHED as MIXUP_SEARCHED
from search_spaces.mixup import concentration_rules
from search_spaces.pgd import SEARCHED as PGD_SEARCHED
from search_spaces.pgd import pgd_rules
from search_spaces.random import SEARCHED as RANDOM_SEARCHED
from search_spaces.random import challenge_rules
from search_spaces.random_erasing import SEARCHED as RANDOM_ERASING_SEARCHED
from search_spaces.random_erasing import erasing_rules
from search_spaces.reldrop import CONDITIONS as RELDROP_CONDITIONS
from search_spaces.reldrop import SEARCHED as RELDROP_SEARCHED
from search_spaces.reldrop import reldrop_rules
from search_spaces.rules import Condition, Limits, Rule
from search_spaces.saliency_guided import SEARCHED as SALIENCY_GUIDED_SEARCHED
from search_spaces.saliency_guided import saliency_guided_rules
from search_spaces.space import Space, check_values, resolve


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSpace:
    """The space of one method.

    Attributes:
        rules: What each dimension allows, given what a dataset allows.
        searched: Dimensions that are searched unless a study file says otherwise.
        conditions: Which choices open which dimensions.
    """

    rules: Callable[[Limits], Mapping[str, Rule]]
    searched: tuple[str, ...]
    conditions: Mapping[str, Condition] = field(default_factory=dict)


# A method that is not here has nothing to search.
SPACES: Mapping[str, NamedSpace] = {
    "challenger": NamedSpace(rules=challenger_rules, searched=CHALLENGER_SEARCHED),
    "cutmix": NamedSpace(rules=cutmix_rules, searched=CUTMIX_SEARCHED),
    "fgsm": NamedSpace(rules=attack_rules, searched=FGSM_SEARCHED),
    "mixup": NamedSpace(rules=concentration_rules, searched=MIXUP_SEARCHED),
    "pgd": NamedSpace(rules=pgd_rules, searched=PGD_SEARCHED),
    "random": NamedSpace(rules=challenge_rules, searched=RANDOM_SEARCHED),
    "random_erasing": NamedSpace(rules=erasing_rules, searched=RANDOM_ERASING_SEARCHED),
    "reldrop": NamedSpace(
        rules=reldrop_rules, searched=RELDROP_SEARCHED, conditions=RELDROP_CONDITIONS
    ),
    "saliency_guided": NamedSpace(rules=saliency_guided_rules, searched=SALIENCY_GUIDED_SEARCHED),
}

__all__ = [
    "DESIGNS",
    "SPACES",
    "CategoricalDimension",
    "Condition",
    "Design",
    "Dimension",
    "FloatDimension",
    "IntDimension",
    "Limits",
    "NamedSpace",
    "ParamValue",
    "Rule",
    "Saltelli",
    "Sobol",
    "Space",
    "SpaceError",
    "check_design",
    "check_values",
    "design_point",
    "design_points",
    "unique",
    "resolve",
    "sweep",
]
