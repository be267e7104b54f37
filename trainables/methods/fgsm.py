"""Adversarial training with the fast gradient sign method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import nn

from trainables.batch import Batch
from trainables.datasets import DatasetInfo
from trainables.draws import Draws
from trainables.methods.attack import check_attack, loss_gradient, replace_first
from trainables.methods.challenge import batch_shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Fgsm:
    """Move a share of the samples by ε·sign(∇ₓ loss): x̃ = x + ε·sign(∇ₓ J(θ, x, y)).

    The attacked samples take the place of the clean ones, as Challenger's do and as in
    Kurakin et al., algorithm 1; Goodfellow et al. average the losses of both instead. The
    attacked are the first of a batch, which must come shuffled; the method draws nothing. The
    gradient is taken in eval mode; a feature whose gradient is 0 stays. Inputs may have any
    shape and scale: images, embeddings, series.

    Attributes:
        budget: ε ≥ 0, the L∞ radius in units of the model's inputs.
        split: Share of a batch that is attacked, in (0, 1].
        clip: Bounds to which attacked samples are clipped, or None.

    References:
        Goodfellow et al., ICLR 2015, arXiv:1412.6572, section 4; Kurakin et al., ICLR 2017,
        arXiv:1611.01236, algorithm 1; Tomani and Cremers, arXiv:2205.15094, figure 3.
    """

    name: ClassVar[str] = "fgsm"
    budget: float = 0.1
    split: float = 0.5
    clip: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_attack(self.budget, self.split, self.clip)

    def check(self, info: DatasetInfo) -> None:
        """Accept every dataset."""

    def perturb(
        self,
        model: nn.Module,
        batch: Batch,
        draws: Draws,  # noqa: ARG002 (the interface of all methods)
    ) -> Batch:
        """Attack the first samples of a shuffled batch.

        Costs one forward and one input-only backward pass over the attacked samples.
        """
        count = batch_shares(batch, self.split, 1.0).challenged
        if count == 0:
            return batch
        clean = batch.first(count)
        attacked = clean.inputs + self.budget * loss_gradient(model, clean).sign()
        return replace(batch, inputs=replace_first(batch.inputs, attacked, self.clip))
