"""The space of CutMix: how large the pasted part is, and how often one is pasted."""

from __future__ import annotations

from collections.abc import Mapping

from search_spaces.dimensions import FloatDimension
from search_spaces.mixup import concentration_rules
from search_spaces.rules import Bounds, Limits, RealRule, Rule

SEARCHED = ("concentration", "probability")

# Yun et al. (arXiv:1905.04899) use 0.5 on CIFAR and 1 on ImageNet.
_PROBABILITY = FloatDimension(low=0.1, high=1.0)


def cutmix_rules(limits: Limits) -> Mapping[str, Rule]:
    """Say what each dimension of CutMix allows, on any dataset of images."""
    probability = RealRule(bounds=Bounds(low=0.0, high=1.0), default=_PROBABILITY)
    return {**concentration_rules(limits), "probability": probability}
