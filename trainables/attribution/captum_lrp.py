"""Layer-wise relevance propagation with the ε rule, by Captum."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

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
from trainables.checks import require

# Captum's default rules hold for these, and for no one-dimensional convolution or batch norm.
_STABILISED = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)
_ELEMENTWISE = (nn.ReLU, nn.Dropout, nn.Tanh)


def captum_lrp(
    model: nn.Module,
    inputs: Float[Tensor, "batch channel *grid"],
    target: Target,
    *,
    epsilon: float = 1e-6,
) -> Float[Tensor, "batch channel *grid"]:
    """Attribute one class score per sample to its input features by Captum's ε-LRP.

    The same relevances as :func:`~trainables.attribution.epsilon_lrp.epsilon_lrp`, at several
    times the cost and for fewer models, with one difference: a batch norm is a layer of its own
    that also takes its ε, not one with the convolution before it. Pools keep Captum's own ε of
    1e-9. A feature whose value is 0 always has relevance 0.

    The model is left untouched. Costs two forward passes and one backward pass, and one forward
    pass more if ``target`` is a function.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain, normalised as in training.
        target: Class to explain for each sample, or a function that chooses it from the logits.
        epsilon: Stabiliser ε > 0, in units of the pre-activations.

    Returns:
        Signed relevances in logit units, detached. Positive is evidence for the class.

    References:
        Bach et al., PLoS ONE 2015, eq. 58; Captum 0.9.0, ``captum.attr.LRP``.
    """

    def build(attr: ModuleType, model: nn.Module) -> Any:  # noqa: ANN401 (Captum's)
        from captum.attr._utils.lrp_rules import EpsilonRule

        # Captum deletes rules after every call; these belong to the twin of this one.
        for layer in model.modules():
            if isinstance(layer, _STABILISED):
                layer.rule = EpsilonRule(epsilon)
        return attr.LRP(model)

    return captum_call(build, model, inputs, target)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptumLrp:
    """Captum's ε-LRP as a setting.

    Attributes:
        epsilon: Stabiliser ε > 0, in units of the pre-activations. At 0 Captum divides by 0.
    """

    name: ClassVar[str] = "captum_lrp"
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.epsilon > 0, "epsilon", "must be above 0", self.epsilon)

    def check(self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> None:
        """Refuse a model for whose layers Captum has no rule.

        Args:
            model: Model to explain; left as it is.
            inputs: Any samples of the model's input shape.

        Raises:
            ConfigError: If a layer has no rule, is called twice, or is none of the modules.
        """
        calls = watch(model, inputs)
        require_kinds(self.name, calls, _STABILISED + _POOLS + _ELEMENTWISE)
        require_single_calls(self.name, calls, (nn.Module,))
        for operation in calls.loose:
            if operation not in RESHAPING | {"relu"}:
                refuse(self.name, f"it computes {operation!r} outside of a module")

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute; see :func:`captum_lrp`."""
        return captum_lrp(model, inputs, target, epsilon=self.epsilon)
