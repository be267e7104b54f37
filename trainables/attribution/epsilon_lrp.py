"""Layer-wise relevance propagation with the ε rule, as one modified backward pass."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from trainables.attribution.attribution import Attribution, Target
from trainables.attribution.epsilon_rule import (
    EpsilonMode,
    EpsilonRule,
    EpsilonRuleReLU,
    Stabilizer,
    stabilizer_for,
)
from trainables.attribution.gradients import eval_mode, input_gradient, uncompiled
from trainables.attribution.network_check import epsilon_obstacle, refuse
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
    its output, its shift is part of that like a bias, and ε applies to it.

    Runs the model in eval mode and restores its mode; parameter gradients and batch statistics
    are left untouched. Costs one forward and one input-only backward pass. A network may
    overwrite the outputs of its layers in place; where only its functions show that it does
    (``F.relu(h, inplace=True)``, ``out += identity``), the pass begins again with copies.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain, normalized as in training.
        target: Class index to explain for each sample, in ``[0, n_classes)``, or a function
            that chooses it from the logits of the same forward pass.
        epsilon: Stabilizer ε ≥ 0: in units of the pre-activations if ``absolute``, as a
            fraction of their root mean square over the sample if ``relative``.
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
    with eval_mode(model), uncompiled():
        gradient = _modified_gradient(model, inputs, target, epsilon, epsilon_mode)
    return inputs.detach() * gradient


@record
class EpsilonLrp(Attribution):
    """ε-LRP, the paper's attribution (section 3.2).

    Attributes:
        epsilon: Stabilizer ε ≥ 0.
        epsilon_mode: Whether ε is in units of the pre-activations (``absolute``), or a fraction
            of their root mean square over the sample (``relative``).
    """

    name: ClassVar[str] = "epsilon_lrp"
    epsilon: Amount = 1e-6
    epsilon_mode: EpsilonMode = "absolute"

    def check(self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> None:
        """Raise a ConfigError for a network that ε-LRP does not explain exactly."""
        reason = epsilon_obstacle(model, inputs)
        if reason is not None:
            refuse(self.name, reason, model, inputs)

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute; see :func:`epsilon_lrp`."""
        return epsilon_lrp(
            model, inputs, target, epsilon=self.epsilon, epsilon_mode=self.epsilon_mode
        )


def _modified_gradient(
    model: nn.Module, inputs: Tensor, target: Target, epsilon: float, mode: EpsilonMode
) -> Tensor:
    if epsilon == 0:
        return input_gradient(model, inputs, target)
    # In-place modules are known beforehand; in-place functions only by autograd's complaint.
    is_inplace = any(getattr(module, "inplace", False) for module in model.modules())
    try:
        with _epsilon_rule_hooks(model, epsilon, mode, "layers" if is_inplace else "none"):
            return input_gradient(model, inputs, target)
    except RuntimeError as error:
        if "inplace" not in str(error):
            raise
    with _epsilon_rule_hooks(model, epsilon, mode, "all"):
        return input_gradient(model, inputs, target)


@contextmanager
def _epsilon_rule_hooks(
    model: nn.Module, epsilon: float, mode: EpsilonMode, copied: Literal["none", "layers", "all"]
) -> Iterator[None]:
    # Of the layer that ran last: its output, the same with the ε rule, and the stabilizer.
    latest: list[tuple[Tensor, Tensor, Stabilizer]] = []

    def apply_rule(_layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        stabilizer = stabilizer_for(output, epsilon, mode)
        output_with_rule: Tensor = EpsilonRule.apply(output, stabilizer, copied != "none")
        latest[:] = [(output, output_with_rule, stabilizer)]
        return output_with_rule

    def fuse(_relu: nn.Module, inputs: tuple[Tensor, ...], active: Tensor) -> Tensor | None:
        # Only for the very tensor that a layer with the rule returned.
        if not latest or inputs[0] is not latest[0][1]:
            return None
        output, _, stabilizer = latest.pop()
        fused: Tensor = EpsilonRuleReLU.apply(output, active.detach(), stabilizer)
        return fused

    def copy_result(_relu: nn.Module, _inputs: tuple[Tensor, ...], active: Tensor) -> Tensor:
        # torch's ReLU needs its result for the backward pass, so only a copy may be overwritten.
        return active.clone()

    relu_hook = {"none": fuse, "all": copy_result}.get(copied)
    with ExitStack() as hooks:
        for layer in _epsilon_rule_layers(model):
            hooks.callback(layer.register_forward_hook(apply_rule).remove)
        for module in model.modules():
            if type(module) is nn.ReLU and relu_hook is not None:
                hooks.callback(module.register_forward_hook(relu_hook).remove)
        yield


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
