"""The space of saliency-guided training: how much is masked, and how much that counts."""

from __future__ import annotations

from collections.abc import Mapping

from search_spaces.dimensions import FloatDimension
from search_spaces.rules import Bounds, Limits, RealRule, Rule

SEARCHED = ("masked_fraction", "weight")

# Ismail et al. (arXiv:2111.14338) mask half of the features with λ = 1 in their published code;
# the ranges lie around these.
_MASKED_SHARE = FloatDimension(low=0.1, high=0.9)
_WEIGHT = FloatDimension(low=0.1, high=10.0, log=True)


def saliency_guided_rules(_limits: Limits) -> Mapping[str, Rule]:
    """Say what each dimension of saliency-guided training allows, on any dataset."""
    share = Bounds(low=0.0, high=1.0, is_open_below=True)
    return {
        "masked_fraction": RealRule(bounds=share, default=_MASKED_SHARE),
        "weight": RealRule(bounds=Bounds(low=0.0), default=_WEIGHT),
    }
