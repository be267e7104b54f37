"""Deconvolution, by Captum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from trainables.attribution.captum_call import captum_call
from trainables.attribution.captum_support import require_relu_modules
from trainables.attribution.target import Target


def deconvolution(
    model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
) -> Float[Tensor, "batch channel *grid"]:
    """Propagate a class score back only where it is positive, whether a ReLU is active or not.

    The gradient of the chosen logit in which every ReLU passes on the positive part of what
    comes from above. A feature of value 0 may have any relevance.

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
        Zeiler and Fergus, ECCV 2014, section 2.1.
    """
    return captum_call(lambda attr, model: attr.Deconvolution(model), model, inputs, target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deconvolution:
    """Deconvolution as a setting."""

    name: ClassVar[str] = "deconvolution"

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
        """Attribute; see :func:`deconvolution`."""
        return deconvolution(model, inputs, target)
