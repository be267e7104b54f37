"""Adversarial training with the fast gradient sign method (FGSM)."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.attribution.gradients import eval_mode
from trainables.batch import Batch, label_loss
from trainables.decoding import record
from trainables.fields import Amount, PositiveShare, SearchRange, Symbol
from trainables.methods.challenge import Clip, idle_reason, split_batch, split_batch_size
from trainables.methods.method import Method
from trainables.replica_rng import ReplicaRNG

# Madry et al. (arXiv:1706.06083) take 0.3 of MNIST's range and 8/255 of CIFAR-10's, which after
# standardization are about 1.0 and 0.13.
Budget: TypeAlias = Annotated[
    Amount, SearchRange(0.01, 1.0, log=True), Symbol("ε", "Radius of the attack, ε")
]
AttackedShare: TypeAlias = Annotated[
    PositiveShare, SearchRange(0.1, 0.9), Symbol("split", "Changed share of a batch")
]


def loss_gradient(model: nn.Module, batch: Batch) -> Float[Tensor, "batch channel *grid"]:
    """Return the gradient of each sample's loss by its inputs, detached and 0 at padding.

    In nats per unit of the inputs; parameters get no gradient. Runs the model in eval mode, so
    that no sample's gradient depends on another and batch statistics are left untouched, and
    restores its mode. Costs one forward and one input-only backward pass.
    """
    with eval_mode(model), torch.enable_grad():
        leaf = batch.inputs.detach().requires_grad_()
        loss = label_loss(model(leaf), batch.targets)
        (gradient,) = torch.autograd.grad(loss, leaf)
    return mask_padding(batch, gradient.detach())


def mask_padding(
    batch: Batch, values: Float[Tensor, "batch channel *grid"]
) -> Float[Tensor, "batch channel *grid"]:
    """Set values at padding to 0."""
    return values if batch.valid_mask is None else values * batch.valid_mask[:, None]


def n_attacked(batch_size: int, split: float) -> int:
    """Return the number of attacked samples: the fraction ``split`` of a batch, rounded down.

    Example:
        >>> n_attacked(30, 0.5), n_attacked(3, 1.0)
        (15, 3)
    """
    return split_batch_size(batch_size, split, 1.0).challenged


def replace_leading(
    inputs: Float[Tensor, "batch channel *grid"],
    changed: Float[Tensor, "attacked channel *grid"],
    clip: tuple[float, ...] | None,
) -> Float[Tensor, "batch channel *grid"]:
    """Replace the first samples of a batch by changed ones, clipped to bounds if given."""
    bounded = changed if clip is None else changed.clamp(*clip)
    return torch.cat([bounded, inputs[len(changed) :]])


@record
class Fgsm(Method):
    """FGSM on a fraction of the samples: x̃ = x + ε·sign(∇ₓ J(θ, x, y)).

    The attacked samples replace the clean ones, as Challenger's do and as in Kurakin et al.,
    algorithm 1; Goodfellow et al. average the losses of both instead. They are the first of a
    shuffled batch; the method draws no random numbers. The gradient is taken in eval mode; a
    feature whose gradient is 0 is not changed. Inputs may have any shape and scale.

    Attributes:
        budget: ε ≥ 0, the L∞ radius in units of the model's inputs.
        split: Fraction of a batch that is attacked, in (0, 1].
        clip: Bounds to which attacked samples are clipped, or None.

    References:
        Goodfellow et al., ICLR 2015, arXiv:1412.6572, section 4; Kurakin et al., ICLR 2017,
        arXiv:1611.01236, algorithm 1; Tomani and Cremers, arXiv:2205.15094, figure 3.
    """

    name: ClassVar[str] = "fgsm"
    label: ClassVar[str] = "FGSM"
    budget: Budget = 0.1
    split: AttackedShare = 0.5
    clip: Clip | None = None

    @property
    def passes(self) -> float:
        """Passes over a batch that a training step takes."""
        return 1.0 + self.split

    def idle_reason(self, batch_size: int) -> str | None:
        """Return why no sample of a batch of that size is changed; None if some are."""
        return idle_reason(batch_size, self.split)

    def perturb(
        self,
        model: nn.Module,
        batch: Batch,
        rng: ReplicaRNG,  # noqa: ARG002 (the interface of all methods)
    ) -> Batch:
        """Attack the first samples of a shuffled batch.

        Costs one forward and one input-only backward pass over the attacked samples.
        """
        count = split_batch(batch, self.split, 1.0).challenged
        if count == 0:
            return batch
        clean = batch.first(count)
        attacked = clean.inputs + self.budget * loss_gradient(model, clean).sign()
        return replace(batch, inputs=replace_leading(batch.inputs, attacked, self.clip))
