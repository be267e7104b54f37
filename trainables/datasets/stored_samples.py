"""Samples that stay in an array on disk, and statistics of such arrays by rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from trainables.batch import Batch, Labels
from trainables.datasets.samples import PixelScale

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

_ROWS_AT_ONCE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSamples:
    """Samples of a memory-mapped array, of which batches alone are read.

    Inputs are ``(stored - shift) / scale``.

    Attributes:
        array: All samples of the source: sample, channel and grid.
        rows: Those of the split.
        targets: Their targets, on the device of the batches.
        shift: Per channel.
        scale: Per channel.
    """

    array: Array
    rows: Int[Tensor, " sample"]
    targets: Labels
    shift: Float[Tensor, "channel first *rest"]
    scale: Float[Tensor, "channel first *rest"]

    @staticmethod
    def of_images(
        array: Array, rows: Int[Tensor, " sample"], targets: Labels, scale: PixelScale
    ) -> StoredSamples:
        """Return samples of bytes that are scaled as pixels in memory are."""
        mean, std = scale.mean, scale.std
        zero, one = torch.zeros(array.shape[1], 1, 1), torch.ones(array.shape[1], 1, 1)
        return StoredSamples(
            array=array,
            rows=rows,
            targets=targets,
            shift=(zero if mean is None else mean) * scale.max_byte,
            scale=(one if std is None else std) * scale.max_byte,
        )

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.targets)

    def take(self, indices: Int[Tensor, " chosen"]) -> StoredSamples:
        """Return the samples of some indices, which stay on disk."""
        return replace(self, rows=self.rows[indices.cpu()], targets=self.targets[indices])

    def to(self, device: torch.device) -> StoredSamples:
        """Read batches to a device."""
        return replace(
            self,
            targets=self.targets.to(device),
            shift=self.shift.to(device),
            scale=self.scale.to(device),
        )

    def make_batch(self, indices: Int[Tensor, " chosen"], generator: torch.Generator) -> Batch:
        """Read a training batch; nothing in it is drawn."""
        del generator
        return Batch(inputs=self._inputs(indices), targets=self.targets[indices])

    def views(self, indices: Int[Tensor, " chosen"]) -> Float[Tensor, "view batch channel *grid"]:
        """Read samples as one view."""
        return self._inputs(indices)[None]

    def valid_mask(self, indices: Int[Tensor, " chosen"]) -> None:
        """Return None: there is no padding."""

    def _inputs(self, indices: Int[Tensor, " chosen"]) -> Float[Tensor, "chosen channel *grid"]:
        stored = read_rows(self.array, self.rows[indices.cpu()])
        return stored.to(self.targets.device).float().sub_(self.shift).div_(self.scale)


def read_rows(array: Array, rows: Int[Tensor, " chosen"]) -> Tensor:
    """Read some rows of an array into memory."""
    return torch.from_numpy(np.ascontiguousarray(array[rows.numpy()]))


def row_blocks(array: Array, rows: Int[Tensor, " chosen"]) -> Iterator[tuple[Tensor, Array]]:
    """Yield the rows of an array in blocks that fit into memory, with their numbers."""
    size = max(1, _ROWS_AT_ONCE_BYTES // max(1, array[:1].nbytes))
    for block in rows.split(size):
        yield block, np.asarray(array[block.numpy()])


def channel_moments(
    array: Array, rows: Int[Tensor, " chosen"]
) -> tuple[Float[np.ndarray, " channel"], Float[np.ndarray, " channel"]]:
    """Compute mean and standard deviation of each channel over some rows, in float64.

    A channel that does not vary has a standard deviation of 1.
    """
    count, total, squares = 0, np.zeros(array.shape[1]), np.zeros(array.shape[1])
    shift = np.asarray(array[rows[:1].numpy()], dtype=np.float64).mean((0, *range(2, array.ndim)))
    axes = (0, *range(2, array.ndim))
    for _, block in row_blocks(array, rows):
        centered = block.astype(np.float64) - shift.reshape(-1, *[1] * (array.ndim - 2))
        total += centered.sum(axes)
        squares += np.square(centered).sum(axes)
        count += centered.size // array.shape[1]
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return mean + shift, np.where(std > 0, std, 1.0)
