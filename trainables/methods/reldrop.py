"""RelDrop: the features that drive the true class are dropped in training."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from trainables.attribution import AttributionConfig, EpsilonLrp
from trainables.batch import Batch, true_class
from trainables.datasets import DatasetInfo
from trainables.decoding import record
from trainables.errors import ConfigError
from trainables.fields import Count, PositiveShare, SearchRange, Share, Symbol
from trainables.methods.method import Method
from trainables.methods.mixup import PROBABILITY
from trainables.methods.rectangles import (
    LARGEST_AREA,
    Fill,
    Rectangles,
    RectangleSize,
    check_images,
    rand,
    rectangle_mask,
)
from trainables.replica_rng import ReplicaRNG


@record
class RelDrop(Method):
    """RelDrop: positions relevant for the true class are replaced by a constant.

    A position is a pixel, a token or a time step: relevances are summed over the channels
    (embedding dimensions, leads) and all channels of a position are dropped together. In inputs
    without a grid, (batch, feature), every feature is a position.

    ``pixel``: with r̂ the relevance scaled to [0, 1] over the sample and u uniform, a position
    is dropped where α·u + (1 - α)·r̂ ≥ 1 - β, hence with probability
    clip((α + β - 1 + (1 - α)·r̂) / α, 0, 1); a coin per sample decides whether it is changed.
    These α and β are not Challenger's and are named ``mix`` and ``threshold`` here. ``block``:
    Random Erasing around one of the most relevant pixels, clipped at the image's borders; a coin
    per batch decides whether it is changed. Settings of the other variant have no effect.

    The dropped fraction depends on the distribution of the relevances and not on ``threshold``
    alone, and is reported as ``drop_rate`` of the whole batch. Attributions are those of this
    package, so that RelDrop and Challenger can be compared with the same; the published code
    uses zennit's, seeded with 1 instead of the logit.

    Attributes:
        variant: ``pixel`` drops single positions, ``block`` a rectangle of an image.
        probability: p, that a sample (``pixel``) or a batch (``block``) is changed, in [0, 1].
        mix: α in [0, 1], the weight of chance beside relevance; 1 is plain dropout at the rate
            1 - ``threshold``, 0 a cut through the relevances.
        threshold: 1 - β in [0, 1], the score from which a position is dropped.
        candidates: k ≥ 1, the number of most relevant pixels of which one is the center.
        min_area: Smallest block, as a fraction of the image.
        max_area: Largest block, as a fraction of the image; both before the borders cut it off.
        ratio: Smallest height / width of a block; the largest is its inverse.
        fill: Value of what is dropped in units of the model's inputs; 0 is the mean of
            standardized data.
        attribution: Attribution of the relevances.

    References:
        Gururaj et al., arXiv:2505.21595; the defaults are the pixel variant of its published
        configuration, which uses 0.5 for the probability of the block variant.
    """

    name: ClassVar[str] = "reldrop"
    label: ClassVar[str] = "RelDrop"
    variant: Literal["pixel", "block"] = "pixel"
    probability: Annotated[Share, SearchRange(0.1, 1.0), PROBABILITY] = 0.3
    # Gururaj et al. give single values: α 0.3 (0.5 for point clouds), β = 0.5.
    mix: Annotated[
        Share,
        SearchRange(0.1, 1.0, when=("variant", "pixel")),
        Symbol("chance", "Weight of chance beside relevance"),
    ] = 0.3
    threshold: Annotated[
        Share,
        SearchRange(0.2, 0.8, when=("variant", "pixel")),
        Symbol("threshold", "Score from which a position is dropped"),
    ] = 0.5
    # The published block variant takes the one most relevant pixel, its patch variant five.
    candidates: Annotated[
        Count, SearchRange(1, 10, by_default=False, when=("variant", "block"))
    ] = 1
    min_area: PositiveShare = 0.02
    max_area: Annotated[
        PositiveShare,
        SearchRange(0.1, 0.9, by_default=False, when=("variant", "block")),
        LARGEST_AREA,
    ] = 0.4
    ratio: PositiveShare = 0.3
    fill: Fill = 0.0
    attribution: AttributionConfig = EpsilonLrp()

    def __post_init__(self) -> None:
        """Check the areas."""
        _ = self._size

    def check(self, info: DatasetInfo) -> None:
        """Check the settings against a dataset."""
        if self.variant == "block":
            check_images(info, "variant", self.variant, "pixel")
            pixels = math.prod(info.input_shape[1:])
            if self.candidates > pixels:
                raise ConfigError(
                    f"candidates must not exceed the {pixels} pixels, got {self.candidates}."
                )

    @property
    def passes(self) -> float:
        """Passes over a batch that a training step takes."""
        return 2.0

    def perturb(
        self,
        model: nn.Module,
        batch: Batch,
        rng: ReplicaRNG,
    ) -> Batch:
        """Drop relevant positions in a batch.

        Costs one forward and one input-only backward pass over the whole batch, unchanged
        samples included: a look at their coins would wait for the device. The metric
        ``drop_rate`` of the batch is the dropped fraction of all features.
        """
        inputs, valid_mask = batch.inputs, batch.valid_mask
        relevance = position_relevance(self.attribution(model, inputs, true_class(batch.targets)))
        if self.variant == "block":
            dropped = self._blocks(relevance, rng)
        else:
            dropped = self._pixels(relevance, valid_mask, rng)
        mask = dropped if inputs.ndim == 2 else dropped[:, None]
        features = torch.ones_like(dropped) if valid_mask is None else valid_mask
        drop_rate = _per_replica(batch, dropped) / _per_replica(batch, features)
        return replace(
            batch,
            inputs=inputs.masked_fill(mask, self.fill),
            train_metrics={"drop_rate": drop_rate},
        )

    @property
    def _size(self) -> RectangleSize:
        return RectangleSize(min_area=self.min_area, max_area=self.max_area, ratio=self.ratio)

    def _pixels(
        self,
        relevance: Float[Tensor, "batch first *rest"],
        valid_mask: Bool[Tensor, "batch first *rest"] | None,
        rng: ReplicaRNG,
    ) -> Bool[Tensor, "batch first *rest"]:
        chance = rand(tuple(relevance.shape), rng)
        score = self.mix * chance + (1 - self.mix) * min_max_scaled(relevance, valid_mask)
        coin = rand((len(relevance), *[1] * (relevance.ndim - 1)), rng)
        dropped = (score >= self.threshold) & (coin < self.probability)
        return dropped if valid_mask is None else dropped & valid_mask

    def _blocks(
        self, relevance: Float[Tensor, "batch height width"], rng: ReplicaRNG
    ) -> Bool[Tensor, "batch height width"]:
        count, height, width = relevance.shape
        best = relevance.flatten(1).topk(self.candidates, dim=1).indices
        center = best.gather(1, rng.randint(self.candidates, count, 1)).squeeze(1)
        tall, wide = self._size.sample((count,), (height, width), rng)
        top, left = center // width - tall // 2, center % width - wide // 2
        # Parts outside of the image cover no pixel.
        edges = Rectangles(top=top, bottom=top + tall, left=left, right=left + wide)
        coin = rand((rng.n_replicas, 1, 1), rng).repeat(count // rng.n_replicas, 1, 1)
        return rectangle_mask(edges, (height, width)) & (coin < self.probability)


def _per_replica(batch: Batch, is_counted: Bool[Tensor, "batch first *rest"]) -> Tensor:
    return batch.split_by_replica(is_counted.flatten(1).sum(1)).sum(0)


def position_relevance(
    relevance: Float[Tensor, "batch channel *grid"],
) -> Float[Tensor, "batch first *rest"]:
    """Sum relevances over the channels, unless inputs have no grid."""
    return relevance if relevance.ndim == 2 else relevance.sum(1)


def min_max_scaled(
    relevance: Float[Tensor, "batch first *rest"],
    valid_mask: Bool[Tensor, "batch first *rest"] | None = None,
) -> Float[Tensor, "batch first *rest"]:
    """Scale each sample's relevances to [0, 1]; all are 0 if they are equal.

    Padding is not part of the range, and its scaled values are undefined.
    """
    flat = relevance.flatten(1).double()
    is_part = (
        torch.ones_like(flat, dtype=torch.bool) if valid_mask is None else valid_mask.flatten(1)
    )
    low = flat.masked_fill(~is_part, math.inf).amin(1, keepdim=True)
    high = flat.masked_fill(~is_part, -math.inf).amax(1, keepdim=True)
    reach = (high - low).clamp_min(torch.finfo(flat.dtype).tiny)
    return ((flat - low) / reach).reshape(relevance.shape)
