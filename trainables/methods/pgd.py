"""Adversarial training with projected gradient descent."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from trainables.batch import Batch
from trainables.decoding import record
from trainables.fields import Positive, SearchRange, Symbol
from trainables.methods.challenge import Clip, idle_reason, split_batch
from trainables.methods.fgsm import (
    AttackedShare,
    Budget,
    loss_gradient,
    mask_padding,
    replace_leading,
)
from trainables.methods.method import Method
from trainables.replica_rng import ReplicaRNG


@record
class Pgd(Method):
    """PGD: several signed gradient steps, projected onto the L∞ ball of radius ε.

    x̃ ← Π(x̃ + a·ε·sign(∇ J(θ, x̃, y))), from a point drawn uniformly in the ball. Samples and
    gradients are as in :class:`Fgsm`, which this equals for one step of size 1 that starts at
    the sample. With ``clip`` every iterate is clipped.

    Attributes:
        budget: ε ≥ 0, the L∞ radius in units of the model's inputs.
        steps: Number of steps, at least 1.
        step_size: a > 0, the length of a step as a fraction of the budget.
        start: ``random`` draws the first point from the ball, ``sample`` is its center.
        split: Fraction of a batch that is attacked, in (0, 1].
        clip: Bounds to which attacked samples are clipped, or None.

    References:
        Madry et al., ICLR 2018, arXiv:1706.06083, section 2.1; 7 steps of a quarter of the
        budget are those of its CIFAR-10 training (section 4).
    """

    name: ClassVar[str] = "pgd"
    label: ClassVar[str] = "PGD"
    budget: Budget = 0.1
    steps: Annotated[
        int, Field(ge=1, le=1000), SearchRange(2, 10), Symbol("steps", "Steps of the attack")
    ] = 7
    step_size: Annotated[
        Positive,
        SearchRange(0.1, 1.0, log=True),
        Symbol("step", "Step of the attack as a share of ε"),
    ] = 0.25
    start: Literal["random", "sample"] = "random"
    split: AttackedShare = 0.5
    clip: Clip | None = None

    @property
    def passes(self) -> float:
        """Passes over a batch that a training step takes."""
        return 1.0 + self.steps * self.split

    def idle_reason(self, batch_size: int) -> str | None:
        """Return why no sample of a batch of that size is changed; None if some are."""
        return idle_reason(batch_size, self.split)

    def perturb(
        self,
        model: nn.Module,
        batch: Batch,
        rng: ReplicaRNG,
    ) -> Batch:
        """Attack the first samples of a shuffled batch.

        Costs ``steps`` forward and ``steps`` input-only backward passes over the attacked.
        """
        count = split_batch(batch, self.split, 1.0).challenged
        if count == 0:
            return batch
        clean = batch.first(count)
        attacked = self._bounded(clean.inputs + self._first_offset(clean, rng))
        for _ in range(self.steps):
            ascent = loss_gradient(model, replace(clean, inputs=attacked)).sign()
            moved = attacked + self.step_size * self.budget * ascent
            offset = (moved - clean.inputs).clamp(-self.budget, self.budget)
            attacked = self._bounded(clean.inputs + offset)
        return replace(batch, inputs=replace_leading(batch.inputs, attacked, self.clip))

    def _first_offset(self, clean: Batch, rng: ReplicaRNG) -> Tensor:
        like = clean.inputs
        if self.start == "sample":
            return torch.zeros_like(like)
        chance = rng.rand(*like.shape, dtype=like.dtype)
        return mask_padding(clean, (2 * chance - 1) * self.budget)

    def _bounded(self, attacked: Tensor) -> Tensor:
        return attacked if self.clip is None else attacked.clamp(*self.clip)
