"""Samples that are stored as a model takes them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trainables.batch import Batch, Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSamples:
    """Inputs and targets."""

    inputs: Float[Tensor, "sample channel *grid"]
    targets: Labels

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.targets)

    def take(self, indices: Int[Tensor, " chosen"]) -> TensorSamples:
        """Return the samples of some indices."""
        return TensorSamples(inputs=self.inputs[indices], targets=self.targets[indices])

    def to(self, device: torch.device) -> TensorSamples:
        """Move to a device."""
        return TensorSamples(inputs=self.inputs.to(device), targets=self.targets.to(device))

    def make_batch(self, indices: Int[Tensor, " chosen"], generator: torch.Generator) -> Batch:
        """Build a batch for training; nothing in it is drawn."""
        del generator
        return Batch(inputs=self.inputs[indices], targets=self.targets[indices])

    def views(self, indices: Int[Tensor, " chosen"]) -> Float[Tensor, "view batch channel *grid"]:
        """Return the samples as they are: one view."""
        return self.inputs[indices][None]

    def valid_mask(self, indices: Int[Tensor, " chosen"]) -> None:
        """Return None: there is no padding."""
