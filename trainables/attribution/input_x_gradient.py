"""Input × gradient: the cheapest signed attribution, and ε-LRP at ε = 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from trainables.attribution.target import Target, evaluation_mode, input_gradient


def input_x_gradient(
    model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
) -> Float[Tensor, "batch channel *grid"]:
    """Multiply each input feature by the gradient of the chosen logit.

    Runs the model in eval mode and restores its mode; parameter gradients and batch statistics
    are left untouched. Costs one forward and one input-only backward pass.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain, normalised as in training.
        target: Class to explain for each sample, or a function that chooses it from the logits.

    Returns:
        Signed relevances in logit units, detached. Positive is evidence for the class.

    References:
        Ancona et al., ICLR 2018, section 2.1.
    """
    with evaluation_mode(model):
        gradient = input_gradient(model, inputs, target)
    return inputs.detach() * gradient


@dataclass(frozen=True, slots=True, kw_only=True)
class InputXGradient:
    """Input × gradient as a setting."""

    name: ClassVar[str] = "input_x_gradient"

    def check(self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> None:
        """Accept every differentiable model."""

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute; see :func:`input_x_gradient`."""
        return input_x_gradient(model, inputs, target)
