"""Saliency-guided training: predictions must not depend on features of low gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from trainables.attribution.gradients import eval_mode, input_gradient
from trainables.batch import Batch, is_multi_label, true_class
from trainables.decoding import record
from trainables.fields import Amount, PositiveShare, SearchRange, Symbol
from trainables.methods.challenge import SelectedFeatures, top_features
from trainables.methods.method import Method
from trainables.replica_rng import ReplicaRNG


@record
class SaliencyGuided(Method):
    """Extra loss λ·KL(f(x) ‖ f(x̃)), x̃ being x with its features of lowest gradient masked.

    The opposite of Challenger and RelDrop: the least relevant features change, and the
    prediction must not. The gradient is that of the true class's logit, in eval mode. Each
    masked feature gets a uniform value between the minimum and the maximum of its sample's
    channel (color, lead, embedding dimension; of the whole sample if inputs have no grid).
    Features are ranked individually, as in Challenger; the published code averages gradients
    over the channels first. The gradient of the loss flows through both predictions. Batch norm
    statistics include the masked batch, as in the published code. For multi-label data the
    divergence is that of the labels' Bernoulli distributions, averaged over samples and labels
    like their cross entropy.

    Attributes:
        masked_fraction: Fraction of the features that is masked, in (0, 1]; at least one is.
        weight: λ ≥ 0.
        order: Order of gradients: by ``signed`` value, the default of the published code, or
            by ``absolute`` value.

    References:
        Ismail et al., NeurIPS 2021, arXiv:2111.14338, algorithm 1.
    """

    name: ClassVar[str] = "saliency_guided"
    label: ClassVar[str] = "Saliency Guided"
    # Ismail et al. mask half of the features with λ = 1 in their published code.
    masked_fraction: Annotated[
        PositiveShare, SearchRange(0.1, 0.9), Symbol("masked", "Masked share of the features")
    ] = 0.5
    weight: Annotated[
        Amount, SearchRange(0.1, 10.0, log=True), Symbol("λ", "Weight of the divergence, λ")
    ] = 1.0
    order: Literal["signed", "absolute"] = "signed"

    @property
    def passes(self) -> float:
        """Passes over a batch that a training step takes."""
        return 3.0

    def perturb(
        self,
        model: nn.Module,
        batch: Batch,
        rng: ReplicaRNG,
    ) -> Batch:
        """Return the unchanged batch with the divergence as extra loss.

        Costs one forward and one input-only backward pass; the extra loss costs one more
        forward pass, through which the step's backward pass then runs as well.
        """
        with eval_mode(model):
            gradient = input_gradient(model, batch.inputs, true_class(batch.targets))
        lowest = -(gradient if self.order == "signed" else gradient.abs())
        features = top_features(lowest.flatten(1), self.masked_fraction, batch.feature_mask)
        masked = fill_within_range(batch.inputs, features, rng)
        divergence = _bernoulli_kl if is_multi_label(batch.targets) else _categorical_kl
        return replace(batch, extra_loss=self._extra_loss(masked, divergence))

    def _extra_loss(
        self, masked: Tensor, divergence: Callable[[Tensor, Tensor], Tensor]
    ) -> Callable[[nn.Module, Tensor], Tensor]:
        def weighted(model: nn.Module, logits: Tensor) -> Tensor:
            return self.weight * divergence(logits, model(masked))

        return weighted


def fill_within_range(
    inputs: Float[Tensor, "batch channel *grid"],
    features: SelectedFeatures,
    rng: ReplicaRNG,
) -> Float[Tensor, "batch channel *grid"]:
    """Return copies whose features are replaced by uniform values of their channel's range."""
    rows = inputs.flatten(2) if inputs.ndim > 2 else inputs[:, None]
    low, high = rows.amin(2, keepdim=True), rows.amax(2, keepdim=True)
    chance = rng.rand(*rows.shape, dtype=rows.dtype)
    values = (low + chance * (high - low)).flatten(1)
    flat = inputs.flatten(1)
    filled = values.gather(1, features.indices)
    if features.is_selected is not None:
        filled = torch.where(features.is_selected, filled, flat.gather(1, features.indices))
    return flat.scatter(1, features.indices, filled).reshape(inputs.shape)


def _categorical_kl(
    logits: Float[Tensor, "batch classes"], masked: Float[Tensor, "batch classes"]
) -> Float[Tensor, " batch"]:
    return functional.kl_div(
        masked.log_softmax(1), logits.log_softmax(1), reduction="none", log_target=True
    ).sum(1)


def _bernoulli_kl(
    logits: Float[Tensor, "batch labels"], masked: Float[Tensor, "batch labels"]
) -> Float[Tensor, " batch"]:
    present, absent = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    seen, unseen = functional.logsigmoid(masked), functional.logsigmoid(-masked)
    return (present.exp() * (present - seen) + absent.exp() * (absent - unseen)).mean(1)
