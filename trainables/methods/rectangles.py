"""Rectangles in images, one per sample, drawn and filled without waiting for the device."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from trainables.datasets import DatasetInfo
from trainables.errors import ConfigError
from trainables.fields import PositiveShare, SearchRange, Symbol
from trainables.replica_rng import ReplicaRNG

LARGEST_AREA = Symbol("largest area", "Largest erased share of an image")
# Zhong et al. (arXiv:1708.04896) choose 0.4, and 0.5 for the probability.
LargestArea: TypeAlias = Annotated[PositiveShare, SearchRange(0.1, 0.9), LARGEST_AREA]
Fill: TypeAlias = Annotated[float, Field(ge=-1e6, le=1e6)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rectangles:
    """Edges in pixels; the upper and left ones are inside, the lower and right ones outside."""

    top: Int[Tensor, " batch"]
    bottom: Int[Tensor, " batch"]
    left: Int[Tensor, " batch"]
    right: Int[Tensor, " batch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RectangleSize:
    """Distribution of the sizes of rectangles.

    Attributes:
        min_area: Smallest area, as a fraction of the image.
        max_area: Largest area, as a fraction of the image.
        ratio: Smallest height / width; the largest is its inverse.
    """

    min_area: float
    max_area: float
    ratio: float

    def __post_init__(self) -> None:
        """Check that there is something between the smallest and the largest area."""
        if self.min_area > self.max_area:
            raise ConfigError(
                f"max_area must be at least min_area, which is {self.min_area:g}, got "
                f"{self.max_area:g}."
            )

    def sample(
        self, count: tuple[int, ...], grid: tuple[int, int], rng: ReplicaRNG
    ) -> tuple[Int[Tensor, "*count"], Int[Tensor, "*count"]]:
        """Draw heights and widths: the area uniform, the aspect ratio log-uniform.

        Rounded to at least one pixel; they may exceed the image.

        References:
            Zhong et al., AAAI 2020, arXiv:1708.04896, algorithm 1, with torchvision's
            log-uniform ratio.
        """
        height, width = grid
        u = rand((2, *count), rng, batch_dim=1)
        area = (self.min_area + (self.max_area - self.min_area) * u[0]) * (height * width)
        aspect = (math.log(self.ratio) * (1 - 2 * u[1])).exp()
        tall, wide = (area * aspect).sqrt(), (area / aspect).sqrt()
        return tall.round().long().clamp_min(1), wide.round().long().clamp_min(1)


def rectangle_mask(
    rectangles: Rectangles, grid: tuple[int, int]
) -> Bool[Tensor, "batch height width"]:
    """Mark the pixels inside each sample's rectangle."""
    rows = torch.arange(grid[0], device=rectangles.top.device)
    columns = torch.arange(grid[1], device=rectangles.top.device)
    inside_rows = (rows >= rectangles.top[:, None]) & (rows < rectangles.bottom[:, None])
    inside_columns = (columns >= rectangles.left[:, None]) & (columns < rectangles.right[:, None])
    return inside_rows[:, :, None] & inside_columns[:, None, :]


def rand(
    shape: tuple[int, ...], rng: ReplicaRNG, *, batch_dim: int = 0
) -> Float[Tensor, "*shape"]:
    """Draw float64 numbers from [0, 1)."""
    return rng.rand(*shape, batch_dim=batch_dim, dtype=torch.float64)


def randint_below(bound: Int[Tensor, " count"], rng: ReplicaRNG) -> Int[Tensor, " count"]:
    """Draw an integer in [0, bound) for every bound; 0 if the bound is not positive."""
    return (rand((len(bound),), rng) * bound).long().clamp_min(0)


def image_size(inputs: Float[Tensor, "batch channel height width"]) -> tuple[int, int]:
    """Return the height and width of images in pixels."""
    return inputs.shape[2], inputs.shape[3]


def check_images(info: DatasetInfo, field: str, value: str, instead: str) -> None:
    """Raise a ConfigError if a setting needs images and the data are of another domain.

    ``instead`` is the value of ``field`` for other domains.
    """
    if info.domain != "image":
        raise ConfigError(
            f"{field} is {value!r}, which works on images, but the dataset's domain is "
            f"{info.domain!r}; choose {instead!r}."
        )
