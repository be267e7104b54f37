"""Attributions: which input feature drove a class score.

One file per attribution and one name in ``AttributionConfig``; the rest follows from it.
"""

from typing import TypeAlias, get_args

from trainables.attribution.captum import (
    CaptumLrp,
    Deconvolution,
    DeepLift,
    GradientShap,
    GuidedBackprop,
    IntegratedGradients,
    NoiseSettings,
    SmoothGrad,
    captum_lrp,
    deconvolution,
    deep_lift,
    gradient_shap,
    guided_backprop,
    integrated_gradients,
    smooth_grad,
)
from trainables.attribution.epsilon_lrp import EpsilonLrp, epsilon_lrp
from trainables.attribution.gradients import InputXGradient, Saliency, input_x_gradient, saliency

AttributionConfig: TypeAlias = (
    CaptumLrp
    | Deconvolution
    | DeepLift
    | EpsilonLrp
    | GradientShap
    | GuidedBackprop
    | InputXGradient
    | IntegratedGradients
    | Saliency
    | SmoothGrad
)

ATTRIBUTIONS = {kind.name: kind for kind in get_args(AttributionConfig)}

__all__ = [
    "ATTRIBUTIONS",
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
    "captum_lrp",
    "deconvolution",
    "deep_lift",
    "epsilon_lrp",
    "gradient_shap",
    "guided_backprop",
    "input_x_gradient",
    "integrated_gradients",
    "saliency",
    "smooth_grad",
]
