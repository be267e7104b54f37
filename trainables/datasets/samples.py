"""Samples as the loop sees them, whatever they are made of."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trainables.batch import Batch
from trainables.labels import Labels


@runtime_checkable
class Samples(Protocol):
    """Samples of one split with their targets, on one device.

    What is kept may be smaller than what a model sees: words rather than their vectors, whole
    recordings rather than the windows cut out of them.
    """

    @property
    def targets(self) -> Labels:
        """Class index per sample, or 0 or 1 per class for multi-label data."""

    def __len__(self) -> int:
        """Count the samples."""

    def take(self, indices: Int[Tensor, " chosen"]) -> Samples:
        """Give the samples of some indices."""

    def to(self, device: torch.device) -> Samples:
        """Move to a device."""

    def draw(self, indices: Int[Tensor, " chosen"], generator: torch.Generator) -> Batch:
        """Make a batch for training.

        Args:
            indices: Samples of the batch, on the samples' device.
            generator: Source of what differs from epoch to epoch, such as random crops.
        """

    def views(self, indices: Int[Tensor, " chosen"]) -> Float[Tensor, "view batch channel *grid"]:
        """Give all that an evaluation looks at: a sample's score is its highest over the views."""

    def occupied(
        self, indices: Int[Tensor, " chosen"]
    ) -> Bool[Tensor, "view batch first *rest"] | None:
        """Tell which positions of the views hold anything, not padding; None if all do."""
