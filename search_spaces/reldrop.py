"""The space of RelDrop: how often, how randomly and how much is dropped."""

from __future__ import annotations

from collections.abc import Mapping

from search_spaces.dimensions import FloatDimension, IntDimension
from search_spaces.random_erasing import erasing_rules
from search_spaces.rules import Bounds, ChoiceRule, Condition, IntegerRule, Limits, RealRule, Rule

# Those of the pixel variant, the default. With ``variant`` in the space as well, each variant
# opens its own: mix and threshold, or max_area and candidates.
SEARCHED = ("probability", "mix", "threshold")

# Gururaj et al. (arXiv:2505.21595) give single values: α 0.3 (0.5 for point clouds), β = 0.5.
# At 0, mix is a hard cut through the relevances; at 1, dropout.
_MIX = FloatDimension(low=0.1, high=1.0)
_THRESHOLD = FloatDimension(low=0.2, high=0.8)
_UNIT = Bounds(low=0.0, high=1.0)
# The published block variant takes the one most relevant pixel, its patch variant five.
_CANDIDATES = IntegerRule(bounds=Bounds(low=1), default=IntDimension(low=1, high=10))

CONDITIONS = {
    "mix": Condition(dimension="variant", value="pixel"),
    "threshold": Condition(dimension="variant", value="pixel"),
    "max_area": Condition(dimension="variant", value="block"),
    "candidates": Condition(dimension="variant", value="block"),
}


def reldrop_rules(limits: Limits) -> Mapping[str, Rule]:
    """Say what each dimension of RelDrop allows, on any dataset; blocks need images.

    The probability and the largest area are those of Random Erasing, its control.
    """
    return {
        "variant": ChoiceRule(choices=("pixel", "block") if limits.is_image else ("pixel",)),
        **erasing_rules(limits),
        "candidates": _CANDIDATES,
        "mix": RealRule(bounds=_UNIT, default=_MIX),
        "threshold": RealRule(bounds=_UNIT, default=_THRESHOLD),
        "attribution": ChoiceRule(choices=limits.attributions),
    }
