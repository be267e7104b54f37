"""The space of PGD: FGSM's, and how the ball is climbed."""

from __future__ import annotations

from collections.abc import Mapping

from search_spaces.dimensions import FloatDimension, IntDimension
from search_spaces.fgsm import attack_rules
from search_spaces.rules import Bounds, IntegerRule, Limits, RealRule, Rule

SEARCHED = ("budget", "steps", "step_size", "split")

# Madry et al. (arXiv:1706.06083) train with 7 steps of 0.25 of the budget on CIFAR-10 and 40 of
# 0.033 on MNIST; more than ten cost more than any other method here.
_STEPS = IntDimension(low=2, high=10)
_STEP_SIZE = FloatDimension(low=0.1, high=1.0, log=True)


def pgd_rules(limits: Limits) -> Mapping[str, Rule]:
    """Say what each dimension of PGD allows, on any dataset."""
    step_size = RealRule(bounds=Bounds(low=0.0, is_open_below=True), default=_STEP_SIZE)
    steps = IntegerRule(bounds=Bounds(low=1), default=_STEPS)
    return {**attack_rules(limits), "steps": steps, "step_size": step_size}
