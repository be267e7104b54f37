"""Selection of samples and features, and the challenge that changes them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from pydantic import AfterValidator
from torch import Tensor

from trainables.batch import Batch
from trainables.checks import require
from trainables.errors import ConfigError
from trainables.fields import Amount, InnerShare, Kinds, SearchRange, Share, Symbol
from trainables.replica_rng import ReplicaRNG


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedFeatures:
    """Selected features of each sample.

    Attributes:
        indices: Indices into the flattened features, distinct within a sample.
        is_selected: False for indices that only fill up samples with fewer features; None if
            there are none.
    """

    indices: Int[Tensor, "batch count"]
    is_selected: Bool[Tensor, "batch count"] | None


def resolve_n_features(n_features: int | float, total: int) -> int:
    """Return N, a count (int) or a fraction of the input features (float), as a count ≥ 1."""
    if isinstance(n_features, int):
        return n_features
    return max(1, round(n_features * total))


def top_features(
    scores: Float[Tensor, "batch feature"],
    n_features: int | float,
    mask: Bool[Tensor, "batch feature"] | None = None,
) -> SelectedFeatures:
    """Select each sample's N features of the highest scores.

    A fraction N is of the sample's features in ``mask``, and a count N is at most their number,
    so that short texts are not changed from end to end.

    Args:
        scores: A score per feature.
        n_features: N, a count (int) or a fraction of the features (float), at least 1.
        mask: Features that may be selected, or None for all.
    """
    count = resolve_n_features(n_features, scores.shape[1])
    if mask is None:
        return SelectedFeatures(
            indices=scores.topk(count, dim=1, sorted=False).indices, is_selected=None
        )
    own = mask.sum(1, keepdim=True, dtype=torch.int32)
    if isinstance(n_features, float):
        wanted = (n_features * own.double()).round().clamp_min(1).int()
    else:
        wanted = torch.full_like(own, n_features)
    # Select as many as of a sample without padding, without waiting for the device; padding fills
    # up the rest, so that nothing is sorted.
    spare = count - wanted.minimum(own)
    is_filler = (~mask).cumsum(1, dtype=torch.int32) <= spare
    best = torch.where(mask, scores, torch.where(is_filler, math.inf, -math.inf)).topk(
        count, dim=1, sorted=False
    )
    return SelectedFeatures(indices=best.indices, is_selected=best.values < math.inf)


def _positive(n_features: int | float) -> int | float:
    if isinstance(n_features, int) and n_features < 1:
        raise ConfigError(f" as a count must be at least 1, got {n_features}.")
    if isinstance(n_features, float) and not 0 < n_features <= 1:
        raise ConfigError(f" as a share must lie in (0, 1], got {n_features}.")
    return n_features


def _ordered(clip: tuple[float, float]) -> tuple[float, float]:
    if clip[0] >= clip[1]:
        raise ConfigError(f" must be [low, high] with low below high, got {list(clip)}.")
    return clip


# The paper gives no ranges. These hold the best of the studies run so far: shares, and amounts
# in units of the inputs' own spread, below a third of which Challenger has little effect.
FeatureCount: TypeAlias = Annotated[
    int | float,
    Kinds("a number"),
    AfterValidator(_positive),
    SearchRange(0.01, 0.3, counts=(1, "n_features")),
    Symbol("N", "Challenged input features, N"),
]
Alpha: TypeAlias = Annotated[
    Amount,
    SearchRange(0.1, 2.0, unit="spread"),
    Symbol("α", "Decrease of a challenged feature, α"),
]
Beta: TypeAlias = Annotated[
    Amount,
    SearchRange(0.1, 2.0, unit="spread"),
    Symbol("β", "Increase of a challenged feature, β"),
]
Split: TypeAlias = Annotated[
    InnerShare, SearchRange(0.1, 0.9), Symbol("split", "Changed share of a batch")
]
LoweredShare: TypeAlias = Annotated[
    Share,
    SearchRange(0.0, 1.0, by_default=False),
    Symbol("A share", "Share of the challenged samples that are lowered"),
]
Clip: TypeAlias = Annotated[tuple[float, float], AfterValidator(_ordered)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSplit:
    """Numbers of samples that get challenge A (the first ``a``) and challenge B (the next ``b``).

    In a joint batch every replica has an equal part of both.
    """

    a: int
    b: int

    @property
    def challenged(self) -> int:
        """Number of changed samples."""
        return self.a + self.b


def split_batch_size(batch_size: int, split: float, a_fraction: float) -> BatchSplit:
    """Divide a batch into A, B and the unchanged rest; both A and B are rounded down.

    Example:
        >>> split_batch_size(30, 0.5, 0.5)
        BatchSplit(a=7, b=7)
    """
    # 0.29 * 100 is 28.999999999999996: whole numbers must stay whole.
    tolerance = 1e-9
    a = int(batch_size * split * a_fraction + tolerance)
    b = int(batch_size * split * (1 - a_fraction) + tolerance)
    return BatchSplit(a=a, b=b)


def idle_reason(batch_size: int, split: float, a_fraction: float = 1.0) -> str | None:
    """Return why a batch is left as it is, and the smallest that is not; None if it is changed.

    Example:
        >>> idle_reason(3, 0.5, 0.5)
        'a split of 0.5 changes no sample of 3; it takes a batch of 4 or more, or a larger split'
    """
    if split_batch_size(batch_size, split, a_fraction).challenged:
        return None
    least = math.ceil(1 / (split * max(a_fraction, 1 - a_fraction)) - 1e-9)
    return (
        f"a split of {split:g} changes no sample of {batch_size}; it takes a batch of {least} or "
        "more, or a larger split"
    )


def split_batch(batch: Batch, split: float, a_fraction: float) -> BatchSplit:
    """Divide each replica's part of a batch by :func:`split_batch_size`."""
    own = split_batch_size(len(batch) // batch.n_replicas, split, a_fraction)
    return BatchSplit(a=own.a * batch.n_replicas, b=own.b * batch.n_replicas)


def select_features(
    relevance: Float[Tensor, "batch channel *grid"],
    n_features: int | float,
    rng: ReplicaRNG,
    mask: Bool[Tensor, "batch feature"] | None = None,
) -> SelectedFeatures:
    """Select each sample's N highest or lowest relevances, by one coin flip per sample.

    ``n_features`` and ``mask`` are those of :func:`top_features`.
    """
    flat = relevance.flatten(1)
    coin = rng.rand(len(flat), 1)
    return top_features(flat * torch.where(coin < 0.5, 1.0, -1.0), n_features, mask)


def random_features(batch: Batch, n_features: int | float, rng: ReplicaRNG) -> SelectedFeatures:
    """Select N distinct features per sample, each set equally likely; never padding."""
    scores = rng.rand(*batch.inputs.flatten(1).shape)
    return top_features(scores, n_features, batch.feature_mask)


def apply_challenge(
    inputs: Float[Tensor, "batch channel *grid"],
    features: SelectedFeatures,
    split_sizes: BatchSplit,
    strength: ChallengeStrength,
) -> Float[Tensor, "batch channel *grid"]:
    """Return inputs with A's features lowered by α and B's raised by β (eqs. 4 and 5)."""
    flat = inputs.flatten(1).clone()
    step = flat.new_full((split_sizes.challenged, 1), strength.beta)
    step[: split_sizes.a] = -strength.alpha
    steps = step.expand_as(features.indices)
    if features.is_selected is not None:
        steps = steps * features.is_selected
    flat[: split_sizes.challenged].scatter_add_(1, features.indices, steps)
    if strength.clip is not None:
        flat[: split_sizes.challenged].clamp_(*strength.clip)
    return flat.reshape(inputs.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeStrength:
    """Changes of selected features, in units of the model's inputs.

    Attributes:
        alpha: α, the decrease of challenge A.
        beta: β, the increase of challenge B.
        clip: Bounds of changed samples, or None.
    """

    alpha: float
    beta: float
    clip: tuple[float, ...] | None = None


def check_feature_count(n_features: int | float, total: int) -> None:
    """Check N against the number of input features of the dataset."""
    rule = f"must not exceed the {total} input features"
    require(resolve_n_features(n_features, total) <= total, "n_features", rule, n_features)
