"""GradientSHAP: gradients at random points between noise around zero and the sample, by Captum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.attribution.captum_call import captum_call, points_per_pass
from trainables.attribution.noise import Noise, seeded_globals
from trainables.attribution.target import Target, choose, evaluation_mode


def gradient_shap(
    model: nn.Module,
    inputs: Float[Tensor, "batch channel *grid"],
    target: Target,
    *,
    noise: Noise,
) -> Float[Tensor, "batch channel *grid"]:
    """Estimate the Shapley value of each feature against baselines of Gaussian noise around 0.

    Mean over random baselines b ~ N(0, σ²) and random points of the path from b to the sample of
    (x − b) × gradient. Complete in expectation: the relevances add up to f(x) − E f(b). Without
    noise it is a Monte Carlo estimate of integrated gradients, and a feature whose value is 0
    has relevance 0; with noise it may have any. The baselines are not drawn from the data, which
    an attribution does not see: 0 is the mean image where inputs are standardised.

    The model and the global generators are left untouched. Costs ``n_samples`` forward and
    backward passes, and one forward pass more if ``target`` is a function.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain, normalised as in training.
        target: Class to explain for each sample, or a function that chooses it from the logits.
        noise: Number of points and of baselines, σ of the baselines, and seed.

    Returns:
        Signed relevances in logit units, detached. Positive is evidence for the class.

    References:
        Lundberg and Lee, NeurIPS 2017; Captum 0.9.0, ``captum.attr.GradientShap``.
    """
    classes = _classes(model, inputs, target)
    total = torch.zeros_like(inputs, requires_grad=False)
    with seeded_globals(noise.seed, inputs.device):
        shape = (noise.n_samples, *inputs.shape[1:])
        baselines = noise.noise * torch.randn(shape, dtype=inputs.dtype, device=inputs.device)
        # Captum itself would take all points at once.
        for points in _shares(noise.n_samples, points_per_pass(inputs)):
            total += points * captum_call(
                lambda attr, model: attr.GradientShap(model),
                model,
                inputs,
                classes,
                baselines=baselines,
                n_samples=points,
                stdevs=0.0,
            )
    return total / noise.n_samples


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientShap(Noise):
    """GradientSHAP as a setting; ``noise`` is that of the baselines."""

    name: ClassVar[str] = "gradient_shap"

    def check(self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> None:
        """Accept every differentiable model."""

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute; see :func:`gradient_shap`."""
        return gradient_shap(model, inputs, target, noise=self)


def _classes(model: nn.Module, inputs: Tensor, target: Target) -> Tensor:
    # Resolved before the points are taken in several calls, so that it is asked once.
    if isinstance(target, Tensor):
        return target
    with evaluation_mode(model), torch.no_grad():
        return choose(target, model(inputs))


def _shares(total: int, most: int) -> list[int]:
    return [min(most, total - taken) for taken in range(0, total, most)]
