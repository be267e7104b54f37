"""Integrated gradients along the straight path from zero, by Captum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from trainables.attribution.captum_call import captum_call, points_per_pass
from trainables.attribution.target import Target
from trainables.checks import require


def integrated_gradients(
    model: nn.Module,
    inputs: Float[Tensor, "batch channel *grid"],
    target: Target,
    *,
    n_steps: int = 16,
) -> Float[Tensor, "batch channel *grid"]:
    """Multiply each input feature by its mean gradient between the zero input and the sample.

    Complete: the relevances of a sample add up to f(x) − f(0), but for the error of the
    quadrature (Gauss–Legendre). A feature whose value is 0 always has relevance 0. The baseline
    0 is the mean image where inputs are standardised, and the black one in [0, 1].

    The model is left untouched. Costs ``n_steps`` forward and backward passes, and one forward
    pass more if ``target`` is a function.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain, normalised as in training.
        target: Class to explain for each sample, or a function that chooses it from the logits.
        n_steps: Points of the path at which the gradient is taken, at least 1.

    Returns:
        Signed relevances in logit units, detached. Positive is evidence for the class.

    References:
        Sundararajan, Taly and Yan, ICML 2017, eq. 1.
    """
    return captum_call(
        lambda attr, model: attr.IntegratedGradients(model),
        model,
        inputs,
        target,
        baselines=0.0,
        n_steps=n_steps,
        internal_batch_size=points_per_pass(inputs) * len(inputs),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegratedGradients:
    """Integrated gradients as a setting.

    Attributes:
        n_steps: Points of the path; the cost is proportional to it. 16 keep training
            affordable, a figure deserves 50 (Captum's default) or more.
    """

    name: ClassVar[str] = "integrated_gradients"
    n_steps: int = 16

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.n_steps >= 1, "n_steps", "must be at least 1", self.n_steps)

    def check(self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> None:
        """Accept every differentiable model."""

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute; see :func:`integrated_gradients`."""
        return integrated_gradients(model, inputs, target, n_steps=self.n_steps)
