"""DeepLIFT with the rescale rule against the zero input, by Captum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from trainables.attribution.captum_call import captum_call
from trainables.attribution.captum_support import (
    RESHAPING,
    refuse,
    require_kinds,
    require_single_calls,
    watch,
)
from trainables.attribution.target import Target

# Layers for which Captum rescales; without a softmax, whose place is not in a classifier of ours.
_RESCALED = (
    nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus,
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d,
)  # fmt: skip
# Layers that are affine in eval mode, for which the gradient is exact.
_AFFINE = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d,
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d,
    nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
    nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d,
    nn.Flatten, nn.Unflatten, nn.Identity,
)  # fmt: skip
_AFFINE_OPERATIONS = {"add", "sub", "mean", "sum", "addmm", "mm", "bmm", "convolution"}


def deep_lift(
    model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
) -> Float[Tensor, "batch channel *grid"]:
    """Share the difference of a class score from that of the zero input among the features.

    Back-propagation in which the slope of an activation is that of its chord between the zero
    input and the sample. Complete: the relevances of a sample add up to f(x) − f(0). A feature
    whose value is 0 always has relevance 0. The baseline 0 is the mean image where inputs are
    standardised, and the black one in [0, 1].

    The model is left untouched. Costs one forward and one backward pass over twice the batch,
    and one forward pass more if ``target`` is a function.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain, normalised as in training.
        target: Class to explain for each sample, or a function that chooses it from the logits.

    Returns:
        Signed relevances in logit units, detached. Positive is evidence for the class.

    References:
        Shrikumar, Greenside and Kundaje, ICML 2017, section 3.5.1 (rescale rule).
    """
    return captum_call(
        lambda attr, model: attr.DeepLift(model), model, inputs, target, baselines=0.0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepLift:
    """DeepLIFT as a setting."""

    name: ClassVar[str] = "deep_lift"

    def check(self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> None:
        """Refuse a model whose activations Captum does not see, or confuses.

        Args:
            model: Model to explain; left as it is.
            inputs: Any samples of the model's input shape.

        Raises:
            ConfigError: If something that is not affine is called twice, is no module, or is
                one for which Captum has no rule.
        """
        calls = watch(model, inputs)
        require_kinds(self.name, calls, _RESCALED + _AFFINE)
        require_single_calls(self.name, calls, _RESCALED)
        for operation in calls.loose:
            if operation not in RESHAPING | _AFFINE_OPERATIONS:
                refuse(self.name, f"it computes {operation!r} outside of a module")

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute; see :func:`deep_lift`."""
        return deep_lift(model, inputs, target)
