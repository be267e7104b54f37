"""Attributions: which input feature drove a class score.

One file per attribution and one name in ``AttributionConfig``; the rest follows from it.
"""

from typing import TypeAlias, get_args

from trainables.attribution.epsilon_lrp import EpsilonLrp, epsilon_lrp
from trainables.attribution.input_x_gradient import InputXGradient, input_x_gradient

AttributionConfig: TypeAlias = EpsilonLrp | InputXGradient

ATTRIBUTIONS = {kind.name: kind for kind in get_args(AttributionConfig)}

__all__ = [
    "ATTRIBUTIONS",
    "AttributionConfig",
    "EpsilonLrp",
    "InputXGradient",
    "epsilon_lrp",
    "input_x_gradient",
]
