"""The space of Challenger: K, N, α, β and the split ratio."""

from __future__ import annotations

from collections.abc import Mapping

from search_spaces.dimensions import IntDimension
from search_spaces.random import challenge_rules
from search_spaces.rules import Bounds, ChoiceRule, IntegerRule, Limits, Rule

SEARCHED = ("top_k", "n_features", "alpha", "beta", "split")


def challenger_rules(limits: Limits) -> Mapping[str, Rule]:
    """Say what each dimension of Challenger allows on a dataset.

    K reaches from 1 to the number of classes; the attribution is not searched unless a study
    asks for it; the others are those of the Random control.
    """
    classes = limits.n_classes
    top_k = IntegerRule(
        bounds=Bounds(low=1, high=classes, reason=f"{limits.dataset} has {classes} classes"),
        default=IntDimension(low=1, high=classes),
    )
    attribution = ChoiceRule(choices=limits.attributions)
    return {"top_k": top_k, **challenge_rules(limits), "attribution": attribution}
