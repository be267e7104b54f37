"""The parts of an adversarial attack: which samples, which direction, and how far."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trainables.attribution.target import evaluation_mode
from trainables.batch import Batch
from trainables.checks import require
from trainables.labels import label_loss
from trainables.methods.challenge import check_clip, shares


def loss_gradient(model: nn.Module, batch: Batch) -> Float[Tensor, "batch channel *grid"]:
    """Differentiate each sample's loss by its inputs; parameters get no gradient.

    Runs the model in eval mode, so that no sample's gradient depends on another and batch
    statistics stay as they are, and restores its mode. Costs one forward and one input-only
    backward pass.

    Args:
        model: Classifier that maps ``inputs`` to logits ``(batch, n_classes)``.
        batch: Samples, normalised as in training, and their classes.

    Returns:
        Gradient of the loss (see :func:`label_loss`) in nats per unit of the inputs, detached;
        0 at padding.
    """
    with evaluation_mode(model), torch.enable_grad():
        leaf = batch.inputs.detach().requires_grad_()
        loss = label_loss(model(leaf), batch.targets)
        (gradient,) = torch.autograd.grad(loss, leaf)
    return within(batch, gradient.detach())


def within(
    batch: Batch, values: Float[Tensor, "batch channel *grid"]
) -> Float[Tensor, "batch channel *grid"]:
    """Set values at padding to 0."""
    return values if batch.occupied is None else values * batch.occupied[:, None]


def attacked_count(batch_size: int, split: float) -> int:
    """Count the samples that are attacked: the share ``split`` of a batch, rounded down.

    Example:
        >>> attacked_count(30, 0.5), attacked_count(3, 1.0)
        (15, 3)
    """
    return shares(batch_size, split, 1.0).challenged


def replace_first(
    inputs: Float[Tensor, "batch channel *grid"],
    changed: Float[Tensor, "attacked channel *grid"],
    clip: tuple[float, ...] | None,
) -> Float[Tensor, "batch channel *grid"]:
    """Put changed samples, clipped to bounds if there are any, in place of a batch's first."""
    bounded = changed if clip is None else changed.clamp(*clip)
    return torch.cat([bounded, inputs[len(changed) :]])


def check_attack(budget: float, split: float, clip: tuple[float, ...] | None) -> None:
    """Check the settings that attacks share."""
    require(budget >= 0, "budget", "must be 0 or more", budget)
    require(0 < split <= 1, "split", "must lie in (0, 1]", split)
    check_clip(clip)
