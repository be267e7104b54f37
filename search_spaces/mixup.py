"""The space of MixUp: how strongly pairs are mixed."""

from __future__ import annotations

from collections.abc import Mapping

from search_spaces.dimensions import FloatDimension
from search_spaces.rules import Bounds, Limits, RealRule, Rule

SEARCHED = ("concentration",)

# Zhang et al. (arXiv:1710.09412): 0.1 to 0.4 on ImageNet, 1 on CIFAR; above that it underfits
# but where labels are wrong.
_CONCENTRATION = FloatDimension(low=0.1, high=2.0, log=True)


def concentration_rules(_limits: Limits) -> Mapping[str, Rule]:
    """Say what the concentration of the mixing share allows, on any dataset."""
    bounds = Bounds(low=0.0, is_open_below=True)
    return {"concentration": RealRule(bounds=bounds, default=_CONCENTRATION)}
