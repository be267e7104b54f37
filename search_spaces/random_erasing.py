"""The space of Random Erasing: how often a rectangle is erased, and how large it may be."""

from __future__ import annotations

from collections.abc import Mapping

from search_spaces.dimensions import FloatDimension
from search_spaces.rules import Bounds, Limits, RealRule, Rule

SEARCHED = ("probability", "max_area")

# Zhong et al. (arXiv:1708.04896) choose 0.5 and 0.4; the ranges lie around these.
_PROBABILITY = FloatDimension(low=0.1, high=1.0)
_MAX_AREA = FloatDimension(low=0.1, high=0.9)


def erasing_rules(_limits: Limits) -> Mapping[str, Rule]:
    """Say what each dimension of Random Erasing allows, on any dataset of images.

    The largest area starts at the method's own smallest, 0.02 unless it is set.
    """
    return {
        "probability": RealRule(bounds=Bounds(low=0.0, high=1.0), default=_PROBABILITY),
        "max_area": RealRule(bounds=Bounds(low=0.02, high=1.0), default=_MAX_AREA),
    }
