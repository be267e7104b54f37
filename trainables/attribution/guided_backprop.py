"""Guided back-propagation, by Captum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from trainables.attribution.captum_call import captum_call
from trainables.attribution.captum_support import require_relu_modules
from trainables.attribution.target import Target


def guided_backprop(
    model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
) -> Float[Tensor, "batch channel *grid"]:
    """Propagate a class score back through active ReLUs, and only where it is positive.

    The gradient of the chosen logit in which every ReLU also passes no negative gradient on. A
    feature of value 0 may have any relevance. Largely blind to the class (Adebayo et al.,
    NeurIPS 2018): what it shows is close to the input's edges.

    The model is left untouched. Costs one forward and one input-only backward pass, and one
    forward pass more if ``target`` is a function.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain, normalised as in training.
        target: Class to explain for each sample, or a function that chooses it from the logits.

    Returns:
        Signed modified gradients in logit units per input unit, detached. Positive says that
        raising the feature raises the score, which is no evidence for the class by itself.

    References:
        Springenberg et al., arXiv:1412.6806, section 3.4.
    """
    return captum_call(lambda attr, model: attr.GuidedBackprop(model), model, inputs, target)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedBackprop:
    """Guided back-propagation as a setting."""

    name: ClassVar[str] = "guided_backprop"

    def check(self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> None:
        """Refuse a model whose ReLUs Captum does not see, or confuses.

        Args:
            model: Model to explain; left as it is.
            inputs: Any samples of the model's input shape.

        Raises:
            ConfigError: If a ReLU is called twice or is no module.
        """
        require_relu_modules(self.name, model, inputs)

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute; see :func:`guided_backprop`."""
        return guided_backprop(model, inputs, target)
