"""Attributions: which input feature drove a class score.

One file per attribution and one name in ``AttributionConfig``; the rest follows from it.
"""

from typing import TypeAlias, get_args

from trainables.attribution.captum_lrp import CaptumLrp, captum_lrp
from trainables.attribution.deconvolution import Deconvolution, deconvolution
from trainables.attribution.deep_lift import DeepLift, deep_lift
from trainables.attribution.epsilon_lrp import EpsilonLrp, epsilon_lrp
from trainables.attribution.gradient_shap import GradientShap, gradient_shap
from trainables.attribution.guided_backprop import GuidedBackprop, guided_backprop
from trainables.attribution.input_x_gradient import InputXGradient, input_x_gradient
from trainables.attribution.integrated_gradients import IntegratedGradients, integrated_gradients
from trainables.attribution.noise import Noise
from trainables.attribution.saliency import Saliency, saliency
from trainables.attribution.smooth_grad import SmoothGrad, smooth_grad

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
    "Noise",
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
