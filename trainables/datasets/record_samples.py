"""Samples kept as whole records, of which a model sees windows: heartbeats, not whole strips."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from trainables.batch import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSamples:
    """Normalised multi-label records of one length, seen through windows.

    Training sees one window per record and epoch, wherever it falls; an evaluation sees the
    windows at 0, ``stride``, 2·``stride``, … that lie within the record.

    Attributes:
        signals: Whole records.
        targets: 0 or 1 per record and class.
        window: Length of a window, in samples of the signal.
        stride: Distance between the windows of an evaluation, likewise.
    """

    signals: Float[Tensor, "sample lead time"]
    targets: Float[Tensor, "sample classes"]
    window: int
    stride: int

    def __len__(self) -> int:
        """Count the records."""
        return len(self.targets)

    def take(self, indices: Int[Tensor, " chosen"]) -> RecordSamples:
        """Give the records of some indices."""
        return replace(self, signals=self.signals[indices], targets=self.targets[indices])

    def to(self, device: torch.device) -> RecordSamples:
        """Move to a device."""
        return replace(self, signals=self.signals.to(device), targets=self.targets.to(device))

    def draw(self, indices: Int[Tensor, " chosen"], generator: torch.Generator) -> Batch:
        """Make a batch for training: of each record one window, every position as likely.

        Args:
            indices: Records of the batch, on the samples' device.
            generator: Source of the positions, on the same device.
        """
        # A view in which every window of every record has an index; nothing is copied yet.
        windows = self.signals.unfold(2, self.window, 1)
        starts = torch.randint(
            windows.shape[2], indices.shape, generator=generator, device=indices.device
        )
        return Batch(inputs=windows[indices, :, starts], targets=self.targets[indices])

    def views(self, indices: Int[Tensor, " chosen"]) -> Float[Tensor, "view batch lead window"]:
        """Give every window of an evaluation, in the order of time."""
        windows = self.signals[indices].unfold(2, self.window, self.stride)
        return windows.permute(2, 0, 1, 3)

    def occupied(self, indices: Int[Tensor, " chosen"]) -> None:
        """Give None: there is no padding."""
