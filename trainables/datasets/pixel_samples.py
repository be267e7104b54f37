"""Images kept as bytes, a quarter of what a model sees, and scaled when they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from trainables.batch import Batch

_WHITE = 255.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """From bytes to what a model sees: ``(byte / 255 - mean) / deviation`` per channel.

    The numbers are tensors, for a GPU divides by a plain number with another rounding.

    Attributes:
        white: The highest byte.
        mean: Mean of the pixels in [0, 1]; None to leave them there.
        deviation: Their standard deviation.
    """

    white: Float[Tensor, "1 1 1"]
    mean: Float[Tensor, "channel 1 1"] | None = None
    deviation: Float[Tensor, "channel 1 1"] | None = None

    @staticmethod
    def unit() -> Scale:
        """Scale to [0, 1]."""
        return Scale(white=torch.full((1, 1, 1), _WHITE))

    @staticmethod
    def standard(mean: Sequence[float], deviation: Sequence[float]) -> Scale:
        """Scale to mean 0 and variance 1, given those of the pixels in [0, 1] by channel."""
        return Scale(
            white=torch.full((1, 1, 1), _WHITE),
            mean=torch.tensor(mean)[:, None, None],
            deviation=torch.tensor(deviation)[:, None, None],
        )

    def to(self, device: torch.device) -> Scale:
        """Move to a device."""
        mean, deviation = (
            None if each is None else each.to(device) for each in (self.mean, self.deviation)
        )
        return Scale(white=self.white.to(device), mean=mean, deviation=deviation)

    def __call__(
        self, pixels: UInt8[Tensor, "*sample channel height width"]
    ) -> Float[Tensor, "*sample channel height width"]:
        """Scale images."""
        inputs = pixels.float().div_(self.white)
        if self.mean is not None and self.deviation is not None:
            inputs.sub_(self.mean).div_(self.deviation)
        return inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelSamples:
    """Images of bytes, one class each.

    Attributes:
        pixels: The images as they were read.
        targets: Class index per image.
        scale: How they become what a model sees.
    """

    pixels: UInt8[Tensor, "sample channel height width"]
    targets: Int[Tensor, " sample"]
    scale: Scale

    def __len__(self) -> int:
        """Count the images."""
        return len(self.targets)

    @property
    def inputs(self) -> Float[Tensor, "sample channel height width"]:
        """All images as a model sees them; made anew at every call."""
        return self.scale(self.pixels)

    def take(self, indices: Int[Tensor, " chosen"]) -> PixelSamples:
        """Give the images of some indices."""
        return replace(self, pixels=self.pixels[indices], targets=self.targets[indices])

    def to(self, device: torch.device) -> PixelSamples:
        """Move to a device."""
        return PixelSamples(
            pixels=self.pixels.to(device),
            targets=self.targets.to(device),
            scale=self.scale.to(device),
        )

    def draw(self, indices: Int[Tensor, " chosen"], generator: torch.Generator) -> Batch:
        """Make a batch for training; nothing in it is drawn."""
        del generator
        return Batch(inputs=self.scale(self.pixels[indices]), targets=self.targets[indices])

    def views(
        self, indices: Int[Tensor, " chosen"]
    ) -> Float[Tensor, "view batch channel height width"]:
        """Give the images as they are: one view."""
        return self.scale(self.pixels[indices])[None]

    def occupied(self, indices: Int[Tensor, " chosen"]) -> None:
        """Give None: there is no padding."""
