"""Attributions: which input feature drove a class score.

One file per attribution and one name in ``ATTRIBUTIONS``; the rest follows from it.
"""

from typing import Annotated, TypeAlias

from trainables.attribution.attn_lrp import AttnLrp, attn_lrp
from trainables.attribution.attribution import Attribution
from trainables.attribution.captum import (
    CaptumLrp,
    Deconvolution,
    DeepLift,
    GradientShap,
    GuidedBackprop,
    IntegratedGradients,
    NoiseSettings,
    SmoothGrad,
)
from trainables.attribution.epsilon_lrp import EpsilonLrp, epsilon_lrp
from trainables.attribution.gradients import InputXGradient, Saliency, input_x_gradient, saliency
from trainables.fields import OneOf

ATTRIBUTIONS: dict[str, type[Attribution]] = {
    kind.name: kind
    for kind in (
        AttnLrp,
        CaptumLrp,
        Deconvolution,
        DeepLift,
        EpsilonLrp,
        GradientShap,
        GuidedBackprop,
        InputXGradient,
        IntegratedGradients,
        Saliency,
        SmoothGrad,
    )
}
AttributionConfig: TypeAlias = Annotated[Attribution, OneOf(ATTRIBUTIONS)]

__all__ = [
    "ATTRIBUTIONS",
    "AttnLrp",
    "Attribution",
    "AttributionConfig",
    "CaptumLrp",
    "Deconvolution",
    "DeepLift",
    "EpsilonLrp",
    "GradientShap",
    "GuidedBackprop",
    "InputXGradient",
    "IntegratedGradients",
    "NoiseSettings",
    "Saliency",
    "SmoothGrad",
    "attn_lrp",
    "epsilon_lrp",
    "input_x_gradient",
    "saliency",
]
