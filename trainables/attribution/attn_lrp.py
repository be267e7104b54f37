"""AttnLRP: layer-wise relevance propagation for transformers, as one modified backward pass."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from trainables.attribution.attribution import Attribution, Target
from trainables.attribution.gradients import eval_mode, resolve_target, uncompiled
from trainables.attribution.network_check import refuse, rule_obstacle
from trainables.attribution.relevance_rules import AttentionShares, RelevanceRules
from trainables.decoding import record
from trainables.errors import ConfigError
from trainables.fields import Amount


def attn_lrp(
    model: nn.Module,
    inputs: Float[Tensor, "batch channel *grid"],
    target: Target,
    *,
    epsilon: float = 0.0,
    shares: AttentionShares = "uniform",
) -> Float[Tensor, "batch channel *grid"]:
    """Attribute one class score per sample to its input features by AttnLRP.

    Input × gradient of a network in which operations have the backward passes of
    :mod:`~trainables.attribution.relevance_rules`: equal to propagating relevance layer by layer
    with AttnLRP's rules, for functional code too. Where there is nothing but linear layers, ReLU
    and pooling it is ε-LRP, with one difference: a batch norm is a layer of its own. Relevances do
    not add up to the logit: biases absorb a part, and softmax does, unless ``shares`` is
    ``constant``. Projections inside of :class:`torch.nn.MultiheadAttention` have no ε.

    Runs the model in eval mode and restores its mode; weights and batch statistics are left
    untouched. Costs one forward and one input-only backward pass.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        inputs: Samples to explain, normalized as in training.
        target: Class to explain for each sample, or a function that chooses it from the logits.
        epsilon: Stabilizer ε ≥ 0 of linear layers and normalizations, in units of their outputs.
            This form needs none: at 0 nothing is divided by.
        shares: How attention divides relevance: ``uniform`` between its weights and values, and
            the former between queries and keys, as in the paper; ``constant`` gives all to the
            values, so that relevance is conserved.

    Returns:
        Signed relevances in logit units, detached. Positive is evidence for the class.

    Raises:
        ConfigError: If ε is negative.

    References:
        Achtibat et al., ICML 2024, arXiv:2402.05602, section 3.
    """
    if epsilon < 0:
        raise ConfigError(f"epsilon must be 0 or more, got {epsilon!r}.")
    # Layers are frozen, so that what depends on the inputs is told from what does not.
    frozen = {name: parameter.detach() for name, parameter in model.named_parameters()}
    leaf = inputs.detach().requires_grad_()
    with eval_mode(model), uncompiled(), torch.enable_grad():
        try:
            gradient = _gradient(model, frozen, leaf, target, (epsilon, shares, False))
        except RuntimeError as error:
            if "inplace" not in str(error):
                raise
            # The network overwrites what has the ε rule; only autograd's complaint shows it.
            gradient = _gradient(model, frozen, leaf, target, (epsilon, shares, True))
    return inputs.detach() * gradient


def _gradient(
    model: nn.Module,
    frozen: dict[str, Tensor],
    leaf: Tensor,
    target: Target,
    rules: tuple[float, AttentionShares, bool],
) -> Tensor:
    epsilon, shares, is_copied = rules
    with RelevanceRules(epsilon, shares, is_copied=is_copied):
        logits: Tensor = functional_call(model, frozen, (leaf,))
    score = logits.gather(1, resolve_target(target, logits)[:, None]).sum()
    (gradient,) = torch.autograd.grad(score, leaf)
    return gradient


@record
class AttnLrp(Attribution):
    """AttnLRP, ε-LRP's extension to transformers.

    Attributes:
        epsilon: Stabilizer ε ≥ 0 of linear layers and normalizations.
        shares: ``uniform`` divides the relevance of attention between its weights and values;
            ``constant`` gives all to the values.
    """

    name: ClassVar[str] = "attn_lrp"
    epsilon: Amount = 0.0
    shares: AttentionShares = "uniform"

    def check(self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"]) -> None:
        """Raise a ConfigError that names the first function without a rule, if any."""
        reason = rule_obstacle(model, inputs)
        if reason is not None:
            refuse(self.name, reason, model, inputs)

    def __call__(
        self, model: nn.Module, inputs: Float[Tensor, "batch channel *grid"], target: Target
    ) -> Float[Tensor, "batch channel *grid"]:
        """Attribute; see :func:`attn_lrp`."""
        return attn_lrp(model, inputs, target, epsilon=self.epsilon, shares=self.shares)
