"""The space of FGSM: the budget and the split ratio."""

from __future__ import annotations

from collections.abc import Mapping

from search_spaces.dimensions import FloatDimension
from search_spaces.rules import Bounds, Limits, RealRule, Rule

SEARCHED = ("budget", "split")

# In units of the model's inputs. Madry et al. (arXiv:1706.06083) take 0.3 of MNIST's range and
# 8/255 of CIFAR-10's, which after standardization are about 1.0 and 0.13.
_BUDGET = FloatDimension(low=0.01, high=1.0, log=True)
# As for Challenger; the paper gives no range.
_SPLIT = FloatDimension(low=0.1, high=0.9)


def attack_rules(_limits: Limits) -> Mapping[str, Rule]:
    """Say what each dimension of an attack allows, on any dataset."""
    return {
        "budget": RealRule(bounds=Bounds(low=0.0), default=_BUDGET),
        "split": RealRule(bounds=Bounds(low=0.0, high=1.0, is_open_below=True), default=_SPLIT),
    }
