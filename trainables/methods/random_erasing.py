"""Random Erasing: a rectangle at a random position of an image is filled with one value."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar

from jaxtyping import Bool
from torch import Tensor, nn

from trainables.batch import Batch
from trainables.datasets import DatasetInfo
from trainables.decoding import record
from trainables.fields import PositiveShare, SearchRange, Share
from trainables.methods.method import Method
from trainables.methods.mixup import PROBABILITY
from trainables.methods.rectangles import (
    Fill,
    LargestArea,
    Rectangles,
    RectangleSize,
    check_images,
    image_size,
    rand,
    randint_below,
    rectangle_mask,
)
from trainables.replica_rng import ReplicaRNG

# As in torchvision: sizes are drawn until one fits, and nothing is erased if ten do not.
_ATTEMPTS = 10


@record
class RandomErasing(Method):
    """Random Erasing of one rectangle per image: the control of RelDrop's choice of position.

    The rule is that of ``torchvision.transforms.v2.RandomErasing``, but per sample, as in the
    paper, and with rectangles of at least one pixel. That class draws from the global generator
    for one sample at a time, and ``functional.erase`` takes edges as Python integers, for which
    every step would wait for the device; here all samples are drawn and filled at once.

    Attributes:
        probability: Probability that a sample is changed, in [0, 1].
        min_area: Smallest erased area, as a fraction of the image.
        max_area: Largest erased area, as a fraction of the image.
        ratio: Smallest height / width; the largest is its inverse.
        fill: Value of erased pixels in units of the model's inputs; 0 is the mean of
            standardized data.

    References:
        Zhong et al., AAAI 2020, arXiv:1708.04896, algorithm 1, whose settings are the defaults.
    """

    name: ClassVar[str] = "random_erasing"
    label: ClassVar[str] = "Random Erasing"
    probability: Annotated[Share, SearchRange(0.1, 1.0), PROBABILITY] = 0.5
    min_area: PositiveShare = 0.02
    max_area: LargestArea = 0.4
    ratio: PositiveShare = 0.3
    fill: Fill = 0.0

    def __post_init__(self) -> None:
        """Check the areas."""
        _ = self._size

    def check(self, info: DatasetInfo) -> None:
        """Raise a ConfigError for other data than images."""
        check_images(info, "name", self.name, "random")

    def perturb(
        self,
        model: nn.Module,  # noqa: ARG002 (the interface of all methods)
        batch: Batch,
        rng: ReplicaRNG,
    ) -> Batch:
        """Erase a rectangle in some samples; costs no pass through the model.

        The metric ``drop_rate`` of the batch is the erased fraction of all pixels.
        """
        erased = self._erased(len(batch), image_size(batch.inputs), rng)
        changed = batch.inputs.masked_fill(erased[:, None], self.fill)
        train_metrics = {"drop_rate": batch.split_by_replica(erased.float()).mean((0, 2, 3))}
        return replace(batch, inputs=changed, train_metrics=train_metrics)

    @property
    def _size(self) -> RectangleSize:
        return RectangleSize(min_area=self.min_area, max_area=self.max_area, ratio=self.ratio)

    def _erased(
        self, count: int, grid: tuple[int, int], rng: ReplicaRNG
    ) -> Bool[Tensor, "batch height width"]:
        tall, wide = self._size.sample((count, _ATTEMPTS), grid, rng)
        fits = (tall < grid[0]) & (wide < grid[1])
        first = fits.long().argmax(1, keepdim=True)
        tall, wide = tall.gather(1, first).squeeze(1), wide.gather(1, first).squeeze(1)
        top = randint_below(grid[0] - tall + 1, rng)
        left = randint_below(grid[1] - wide + 1, rng)
        edges = Rectangles(top=top, bottom=top + tall, left=left, right=left + wide)
        is_changed = (rand((count,), rng) < self.probability) & fits.any(1)
        return rectangle_mask(edges, grid) & is_changed[:, None, None]
