"""Samples of one split: images as bytes, records with windows, texts as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

from trainables.batch import Batch, Labels


@runtime_checkable
class Samples(Protocol):
    """Samples of one split with their targets, on one device.

    They may be stored more compactly than a model's inputs: words instead of their vectors,
    whole recordings instead of windows.
    """

    @property
    def targets(self) -> Labels:
        """Class index per sample, or 0 or 1 per class for multi-label data."""

    def __len__(self) -> int:
        """Count the samples."""

    def take(self, indices: Int[Tensor, " chosen"]) -> Samples:
        """Return the samples of some indices."""

    def to(self, device: torch.device) -> Samples:
        """Move to a device."""

    def make_batch(self, indices: Int[Tensor, " chosen"], generator: torch.Generator) -> Batch:
        """Return a training batch; ``generator`` draws random crops and the like."""

    def views(self, indices: Int[Tensor, " chosen"]) -> Float[Tensor, "view batch channel *grid"]:
        """Return all views of samples in an evaluation; a score is the highest over the views."""

    def valid_mask(
        self, indices: Int[Tensor, " chosen"]
    ) -> Bool[Tensor, "view batch first *rest"] | None:
        """Return False at padding of the views; None if there is none."""


_MAX_BYTE = 255.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelScale:
    """Scaling of bytes to a model's inputs: ``(byte / max_byte - mean) / std`` per channel.

    The numbers are tensors, since a GPU divides by a plain number with another rounding. ``mean``
    and ``std`` are those of pixels in [0, 1]; None leaves them in that range.
    """

    max_byte: Float[Tensor, "1 1 1"]
    mean: Float[Tensor, "channel 1 1"] | None = None
    std: Float[Tensor, "channel 1 1"] | None = None

    @staticmethod
    def unit() -> PixelScale:
        """Scale to [0, 1]."""
        return PixelScale(max_byte=torch.full((1, 1, 1), _MAX_BYTE))

    @staticmethod
    def standard(mean: Sequence[float], std: Sequence[float]) -> PixelScale:
        """Scale to mean 0 and variance 1, given those of the pixels in [0, 1] by channel."""
        return PixelScale(
            max_byte=torch.full((1, 1, 1), _MAX_BYTE),
            mean=torch.tensor(mean)[:, None, None],
            std=torch.tensor(std)[:, None, None],
        )

    def to(self, device: torch.device) -> PixelScale:
        """Move to a device."""
        mean, std = (None if each is None else each.to(device) for each in (self.mean, self.std))
        return PixelScale(max_byte=self.max_byte.to(device), mean=mean, std=std)

    def __call__(
        self, pixels: UInt8[Tensor, "*sample channel height width"]
    ) -> Float[Tensor, "*sample channel height width"]:
        """Scale images."""
        inputs = pixels.float().div_(self.max_byte)
        if self.mean is not None and self.std is not None:
            inputs.sub_(self.mean).div_(self.std)
        return inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelSamples:
    """Images of bytes with one class each, and their scaling.

    Attributes:
        object_from: Least byte of a pixel that shows the object and not the background, in any
            channel; None where bytes do not tell.
    """

    pixels: UInt8[Tensor, "sample channel height width"]
    targets: Int[Tensor, " sample"]
    scale: PixelScale
    object_from: int | None = None

    def __len__(self) -> int:
        """Count the images."""
        return len(self.targets)

    @property
    def inputs(self) -> Float[Tensor, "sample channel height width"]:
        """All scaled images, computed at every call."""
        return self.scale(self.pixels)

    def take(self, indices: Int[Tensor, " chosen"]) -> PixelSamples:
        """Return the images of some indices."""
        return replace(self, pixels=self.pixels[indices], targets=self.targets[indices])

    def to(self, device: torch.device) -> PixelSamples:
        """Move to a device."""
        return replace(
            self,
            pixels=self.pixels.to(device),
            targets=self.targets.to(device),
            scale=self.scale.to(device),
        )

    def make_batch(self, indices: Int[Tensor, " chosen"], generator: torch.Generator) -> Batch:
        """Return a training batch, without randomness."""
        del generator
        return Batch(inputs=self.scale(self.pixels[indices]), targets=self.targets[indices])

    def views(
        self, indices: Int[Tensor, " chosen"]
    ) -> Float[Tensor, "view batch channel height width"]:
        """Return the scaled images as one view."""
        return self.scale(self.pixels[indices])[None]

    def valid_mask(self, indices: Int[Tensor, " chosen"]) -> None:
        """Return None: there is no padding."""

    def object_mask(
        self, indices: Int[Tensor, " chosen"]
    ) -> Bool[Tensor, "chosen height width"] | None:
        """Return True at pixels that show the object; None where that is not known."""
        if self.object_from is None:
            return None
        return (self.pixels[indices] >= self.object_from).any(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSamples:
    """Normalized records of one length, cut into windows.

    A training batch has one random window per record; an evaluation uses the windows at 0,
    ``stride``, 2·``stride``, … that lie within the record.

    Attributes:
        signals: Whole records.
        targets: Class index per record, or 0 or 1 per class.
        window: Length of a window, in samples of the signal.
        stride: Distance between the windows of an evaluation, likewise.
    """

    signals: Float[Tensor, "sample lead time"]
    targets: Labels
    window: int
    stride: int

    def __len__(self) -> int:
        """Count the records."""
        return len(self.targets)

    def take(self, indices: Int[Tensor, " chosen"]) -> RecordSamples:
        """Return the records of some indices."""
        return replace(self, signals=self.signals[indices], targets=self.targets[indices])

    def to(self, device: torch.device) -> RecordSamples:
        """Move to a device."""
        return replace(self, signals=self.signals.to(device), targets=self.targets.to(device))

    def make_batch(self, indices: Int[Tensor, " chosen"], generator: torch.Generator) -> Batch:
        """Return a training batch of one window per record, at a uniformly drawn position."""
        # A view of all windows of all records, without a copy.
        windows = self.signals.unfold(2, self.window, 1)
        starts = torch.randint(
            windows.shape[2], indices.shape, generator=generator, device=indices.device
        )
        return Batch(inputs=windows[indices, :, starts], targets=self.targets[indices])

    def views(self, indices: Int[Tensor, " chosen"]) -> Float[Tensor, "view batch lead window"]:
        """Return every window of an evaluation, in order of time."""
        windows = self.signals[indices].unfold(2, self.window, self.stride)
        return windows.permute(2, 0, 1, 3)

    def valid_mask(self, indices: Int[Tensor, " chosen"]) -> None:
        """Return None: there is no padding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSamples:
    """Texts of one length in words; a model's inputs are (batch, dimension, length).

    Token 0 has no vector: padding behind a text, or a word of the vocabulary whose vector is
    unknown. Such a position is zero in all dimensions, so that its ε-LRP relevance is always 0,
    and no method may choose or change it: Random, the control, must not spend its features on
    positions that Challenger cannot choose.

    The vectors are frozen. Only batches are embedded: 18,846 texts of 1,000 words are 38 MB as
    tokens, and 7.5 GB as vectors.

    Attributes:
        tokens: Row of ``vectors`` of each word, as int32 or smaller.
        vectors: A vector per word; row 0 is zero.
        targets: Class index per sample.
    """

    tokens: Int[Tensor, "sample length"]
    vectors: Float[Tensor, "words dimension"]
    targets: Labels

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.targets)

    def take(self, indices: Int[Tensor, " chosen"]) -> TokenSamples:
        """Return the samples of some indices, sharing the vectors."""
        return replace(self, tokens=self.tokens[indices], targets=self.targets[indices])

    def to(self, device: torch.device) -> TokenSamples:
        """Move to a device."""
        return TokenSamples(
            tokens=self.tokens.to(device),
            vectors=self.vectors.to(device),
            targets=self.targets.to(device),
        )

    def make_batch(self, indices: Int[Tensor, " chosen"], generator: torch.Generator) -> Batch:
        """Return a training batch, without randomness."""
        del generator
        tokens = self.tokens[indices]
        return Batch(
            inputs=self._embedded(tokens), targets=self.targets[indices], valid_mask=tokens != 0
        )

    def views(
        self, indices: Int[Tensor, " chosen"]
    ) -> Float[Tensor, "view batch dimension length"]:
        """Return the texts as vectors, in one view."""
        return self._embedded(self.tokens[indices])[None]

    def valid_mask(self, indices: Int[Tensor, " chosen"]) -> Bool[Tensor, "view batch length"]:
        """Return True where a word has a vector."""
        return (self.tokens[indices] != 0)[None]

    def _embedded(
        self, tokens: Int[Tensor, "batch length"]
    ) -> Float[Tensor, "batch dimension length"]:
        return functional.embedding(tokens.int(), self.vectors).transpose(1, 2).contiguous()
