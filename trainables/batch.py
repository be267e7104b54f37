"""A batch: what a dataset gives to training, and what a method makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from jaxtyping import Bool, Float
from torch import Tensor, nn

from trainables.labels import Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Inputs and targets of one training step.

    Attributes:
        inputs: Samples, changed or not.
        targets: Class index per sample, or a number per class and sample: 0 or 1 for multi-label
            data, probabilities where a method has mixed samples.
        occupied: Positions of the grid that hold anything; the others are padding, which no
            method may choose or change. None if all do.
        extra_loss: What is added to the cross entropy, as a function of the model and of the
            logits of ``inputs``; None for nothing.
        measures: Scalars on the device that a report averages over its steps, by name:
            ``drop_rate`` becomes ``train/drop_rate``. The same names for every batch.
    """

    inputs: Float[Tensor, "batch channel *grid"]
    targets: Labels
    occupied: Bool[Tensor, "batch first *rest"] | None = None
    extra_loss: Callable[[nn.Module, Tensor], Tensor] | None = None
    measures: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.targets)

    @property
    def feature_mask(self) -> Bool[Tensor, "batch feature"] | None:
        """Flattened features that hold anything, or None if all do."""
        if self.occupied is None:
            return None
        return self.occupied[:, None].expand(self.inputs.shape).flatten(1)

    def first(self, count: int) -> Batch:
        """Give the first samples, without extra loss and measures."""
        occupied = None if self.occupied is None else self.occupied[:count]
        return Batch(inputs=self.inputs[:count], targets=self.targets[:count], occupied=occupied)
