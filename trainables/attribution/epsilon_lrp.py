"""Layer-wise relevance propagation with the ε rule, as one modified backward pass."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from trainables.attribution.attribution import Attribution
from trainables.attribution.epsilon_rule import (
    EpsilonMode,
    EpsilonRule,
    EpsilonRuleReLU,
    Stabilizer,
    stabilizer_for,
)
from trainables.attribution.gradients import Target, eval_mode, input_gradient
from trainables.decoding import record
from trainables.errors import ConfigError
from trainables.fields import Amount

_LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def epsilon_lrp(
    model: nn.Module,
    inputs: Float[Tensor, "batch channel *grid"],
    target: Target,
    *,
    epsilon: float = 1e-6,
    epsilon_mode: EpsilonMode = "absolute",
) -> Float[Tensor, "batch channel *grid"]:
    """Attribute one class score per sample to its input features by ε-LRP, in one backward pass.

    Ordinary back-propagation in which the gradient at the output z of every linear layer is
    scaled by |z| / (|z| + ε); the relevance is then input × modified gradient. Equal to
    layer-wise propagation with a sign-matched ε for networks of linear layers, ReLU, max and
    average pooling and batch normalization, and to input × gradient at ε = 0. A feature whose
    value is 0 always has relevance 0. A batch norm that directly follows a linear layer inside
    an ``nn.Sequential`` is taken together with it, as if the two were one layer. Any other batch
    norm, such as one between pooling and a linear layer, is a linear layer of its own: its z is
    what it gives, its shift is part of that like a bias, and ε applies to it.

    Runs the model in eval mode and restores its mode; parameter gradients and batch statistics
    are left untouched. Costs one forward and one input-only backward pass.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain, normalized as in training.
        target: Class index to explain for each sample, in ``[0, n_classes)``, or a function
            that chooses it from the logits of the same forward pass.
        epsilon: Stabilizer ε ≥ 0: in units of the pre-activations if ``absolute``, as a share
            of their root mean square over the sample if ``relative``.
        epsilon_mode: Meaning of ``epsilon``.

    Returns:
        Signed relevances in logit units, detached. Positive is evidence for the class.

    Raises:
        ConfigError: If ε is negative.

    References:
        Bach et al., PLoS ONE 2015, eq. 58; Tomani and Cremers, arXiv:2205.15094, eq. 3.
        The paper writes ε without a sign; see ARCHITECTURE.md for why the signed form is used.
    """
    if epsilon < 0:
        raise ConfigError(f"epsilon must be 0 or more, got {epsilon!r}.")
    with eval_mode(model), _epsilon_rule_hooks(model, epsilon, epsilon_mode):
        gradient = input_gradient(model, inputs, target)
    return inputs.detach() * gradient


@record
class EpsilonLrp(Attribution):
    """ε-LRP, the paper's attribution (section 3.2).

    Attributes:
        epsilon: Stabilizer ε ≥ 0.
        epsilon_mode: Whether ε is in units of the pre-activations (``absolute``), or a share of
            their root mean square over the sample (``relative``).
    """

    name: ClassVar[str] = "epsilon_lrp"
    epsilon: Amount = 1e-6
    epsilon_mode: EpsilonMode = "absolute"

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute; see :func:`epsilon_lrp`."""
        return epsilon_lrp(
            model, inputs, target, epsilon=self.epsilon, epsilon_mode=self.epsilon_mode
        )


@contextmanager
def _epsilon_rule_hooks(model: nn.Module, epsilon: float, mode: EpsilonMode) -> Iterator[None]:
    if epsilon == 0:
        yield
        return
    hooks = _register_hooks(model, epsilon, mode)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _register_hooks(model: nn.Module, epsilon: float, mode: EpsilonMode) -> list[RemovableHandle]:
    # What a layer gave last: its output, the same once damped, and the margin.
    latest: list[tuple[Tensor, Tensor, Stabilizer]] = []
    is_copied = any(getattr(module, "inplace", False) for module in model.modules())

    def apply_rule(_layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        stabilizer = stabilizer_for(output, epsilon, mode)
        output_with_rule: Tensor = EpsilonRule.apply(output, stabilizer, is_copied)
        latest[:] = [(output, output_with_rule, stabilizer)]
        return output_with_rule

    def fuse(_relu: nn.Module, inputs: tuple[Tensor, ...], active: Tensor) -> Tensor | None:
        # Only what comes straight from a damped layer, whatever the order of the modules says.
        if is_copied or not latest or inputs[0] is not latest[0][1]:
            return None
        output, _, stabilizer = latest.pop()
        fused: Tensor = EpsilonRuleReLU.apply(output, active.detach(), stabilizer)
        return fused

    relus = [module for module in model.modules() if type(module) is nn.ReLU]
    return [
        *(layer.register_forward_hook(apply_rule) for layer in _epsilon_rule_layers(model)),
        *(relu.register_forward_hook(fuse) for relu in relus),
    ]


def _epsilon_rule_layers(model: nn.Module) -> Iterator[nn.Module]:
    merged = set(_layers_before_norm(model))
    for layer in model.modules():
        if isinstance(layer, _LINEAR + _NORM) and layer not in merged:
            yield layer


def _layers_before_norm(model: nn.Module) -> Iterator[nn.Module]:
    for block in model.modules():
        if isinstance(block, nn.Sequential):
            for layer, following in itertools.pairwise(block):
                if isinstance(layer, _LINEAR) and isinstance(following, _NORM):
                    yield layer
