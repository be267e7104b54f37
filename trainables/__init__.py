"""One trial of challenger-study: data, model, method, training loop and metrics.

Methods and attributions are usable in any training loop::

    from trainables import Challenger

Only :mod:`trainables.ray_trainable` knows Ray; everything else runs where there is torch alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainables.attribution import (
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
    from trainables.methods import (
        Base,
        Challenger,
        Cutmix,
        Fgsm,
        Mixup,
        Pgd,
        Random,
        RandomErasing,
        RelDrop,
        SaliencyGuided,
    )

__all__ = [
    "AttnLrp",
    "Base",
    "CaptumLrp",
    "Challenger",
    "Cutmix",
    "Deconvolution",
    "DeepLift",
    "EpsilonLrp",
    "Fgsm",
    "GradientShap",
    "GuidedBackprop",
    "InputXGradient",
    "IntegratedGradients",
    "Mixup",
    "Pgd",
    "Random",
    "RandomErasing",
    "RelDrop",
    "Saliency",
    "SaliencyGuided",
    "SmoothGrad",
]


def __getattr__(name: str) -> object:
    # Imported at the first use: study files are looked at without torch, which takes seconds.
    if name in __all__:
        for package in ("trainables.methods", "trainables.attribution"):
            if hasattr(import_module(package), name):
                return getattr(import_module(package), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
