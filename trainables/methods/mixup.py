"""MixUp: training on averages of two samples and of their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from trainables.batch import Batch
from trainables.checks import require
from trainables.datasets import DatasetInfo
from trainables.draws import Draws
from trainables.methods.mixing import mix, mix_labels, symmetric_beta


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixup:
    """Average every sample with another: x̃ = λx + (1 - λ)x', ỹ = λy + (1 - λ)y'.

    One λ ~ Beta(a, a) and one permutation of the partners per batch, as in the authors' code.
    Domain-free: inputs may have any shape. Class indices become probabilities; the labels of
    multi-label data, 0 or 1 per class, are mixed as they are.

    Attributes:
        concentration: a > 0, α in the paper. The nearer to 0, the less is mixed.

    References:
        Zhang et al., ICLR 2018, arXiv:1710.09412, eq. 2 and figure 1.
    """

    name: ClassVar[str] = "mixup"
    concentration: float = 0.2

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.concentration > 0, "concentration", "must be above 0", self.concentration)

    def check(self, info: DatasetInfo) -> None:
        """Accept every dataset."""

    def perturb(
        self,
        model: nn.Module,
        batch: Batch,
        draws: Draws,
    ) -> Batch:
        """Mix a batch with a permutation of itself; costs no pass through the model.

        Raises:
            ConfigError: If labels are class indices and the model has no linear layer.
        """
        inputs = batch.inputs
        share = batch.per_sample(symmetric_beta(self.concentration, batch.n_replicas, draws))
        pairs = draws.permutation(len(batch))
        mixed = mix_labels(model, batch.targets, pairs, inputs, share)
        changed = mix(inputs, pairs, share)
        return Batch(inputs=changed, targets=mixed, n_replicas=batch.n_replicas)
