"""Saliency: how strongly a class score reacts to each input feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from trainables.attribution.target import Target, evaluation_mode, input_gradient


def saliency(
    model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
) -> Float[Tensor, "batch channel *grid"]:
    """Give the magnitude of the chosen logit's gradient at each input feature.

    Never negative: a large value says that the feature matters, not whether it speaks for or
    against the class. A feature of value 0 may have any saliency.

    Runs the model in eval mode and restores its mode; parameter gradients and batch statistics
    are left untouched. Costs one forward and one input-only backward pass.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain, normalised as in training.
        target: Class to explain for each sample, or a function that chooses it from the logits.

    Returns:
        Unsigned sensitivities in logit units per input unit, detached.

    References:
        Simonyan, Vedaldi and Zisserman, arXiv:1312.6034, section 3.1.
    """
    with evaluation_mode(model):
        return input_gradient(model, inputs, target).abs()


@dataclass(frozen=True, slots=True, kw_only=True)
class Saliency:
    """Saliency as a setting."""

    name: ClassVar[str] = "saliency"

    def check(self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> None:
        """Accept every differentiable model."""

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute; see :func:`saliency`."""
        return saliency(model, inputs, target)
