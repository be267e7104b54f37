"""A batch: what a dataset gives to training, and what a method makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from trainables.labels import Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Inputs and targets of one training step, of one replica or of several.

    A joint batch holds the samples of its replicas by turns (see :mod:`trainables.draws`): row
    i·R + r is the i-th sample of the r-th of R replicas.

    Attributes:
        inputs: Samples, changed or not.
        targets: Class index per sample, or a number per class and sample: 0 or 1 for multi-label
            data, probabilities where a method has mixed samples.
        occupied: Positions of the grid that hold anything; the others are padding, which no
            method may choose or change. None if all do.
        n_replicas: R, whose samples these are.
        extra_loss: What is added to each sample's cross entropy, as a function of the model and
            of the logits of ``inputs``; None for nothing.
        measures: Numbers on the device, one per replica, that a report averages over its steps,
            by name: ``drop_rate`` becomes ``train/drop_rate``. The same names for every batch.
    """

    inputs: Float[Tensor, "batch channel *grid"]
    targets: Labels
    occupied: Bool[Tensor, "batch first *rest"] | None = None
    n_replicas: int = 1
    extra_loss: Callable[[nn.Module, Tensor], Float[Tensor, " batch"]] | None = None
    measures: Mapping[str, Float[Tensor, " replica"]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the samples of all replicas."""
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
        return Batch(
            inputs=self.inputs[:count],
            targets=self.targets[:count],
            occupied=occupied,
            n_replicas=self.n_replicas,
        )

    def by_replica(self, values: Tensor) -> Tensor:
        """Turn a value per sample, ``(batch, *)``, into ``(batch / R, R, *)``."""
        return values.reshape(-1, self.n_replicas, *values.shape[1:])

    def per_sample(self, values: Tensor) -> Tensor:
        """Repeat a value per replica, ``(R, *)``, for each of its samples: ``(batch, *)``."""
        return values.repeat(len(self) // self.n_replicas, *[1] * (values.ndim - 1))


def joint(batches: Sequence[Batch]) -> Batch:
    """Lay the batches of several replicas, all of one size and unchanged, into one."""
    if len(batches) == 1:
        return batches[0]
    occupied = [batch.occupied for batch in batches if batch.occupied is not None]
    return Batch(
        inputs=_by_turns([batch.inputs for batch in batches]),
        targets=_by_turns([batch.targets for batch in batches]),
        occupied=_by_turns(occupied) if occupied else None,
        n_replicas=len(batches),
    )


def _by_turns(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(parts), dim=1).flatten(0, 1)
