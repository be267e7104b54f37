"""Feature selection and the challenge itself: which samples and features change, and how far."""

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
from trainables.fields import Amount, InnerShare, Kinds, Search, Share, Symbol
from trainables.replica_rng import ReplicaRNG


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedFeatures:
    """Features chosen in each sample.

    Attributes:
        indices: Indices into the flattened features, different within a sample.
        is_chosen: Which of them are really chosen, where samples choose different numbers; None
            if all are.
    """

    indices: Int[Tensor, "batch count"]
    is_selected: Bool[Tensor, "batch count"] | None


def resolve_n_features(n_features: int | float, total: int) -> int:
    """Turn N, a count (int) or a share of the input features (float), into a count ≥ 1."""
    if isinstance(n_features, int):
        return n_features
    return max(1, round(n_features * total))


def top_features(
    scores: Float[Tensor, "batch feature"],
    n_features: int | float,
    mask: Bool[Tensor, "batch feature"] | None = None,
) -> SelectedFeatures:
    """Choose each sample's N features of the highest scores.

    Where a sample has padding, N as a share is one of its own features that are none, and N as a
    count is at most their number: a short text is not changed from end to end.

    Args:
        scores: A score per feature.
        n_features: N, a count (int) or a share of the features (float), at least 1.
        mask: Features that may be chosen, or None for all.
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
    # As many as a sample without padding would have, which needs no answer from the device.
    # Padding takes the places that a sample does not need, so that nothing need be sorted.
    spare = count - wanted.minimum(own)
    takes_place = (~mask).cumsum(1, dtype=torch.int32) <= spare
    best = torch.where(mask, scores, torch.where(takes_place, math.inf, -math.inf)).topk(
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
    Search(0.01, 0.3, counts=(1, "n_features")),
    Symbol("N", "Challenged input features, N"),
]
Alpha: TypeAlias = Annotated[
    Amount,
    Search(0.1, 2.0, unit="spread"),
    Symbol("α", "Decrease of a challenged feature, α"),
]
Beta: TypeAlias = Annotated[
    Amount,
    Search(0.1, 2.0, unit="spread"),
    Symbol("β", "Increase of a challenged feature, β"),
]
Split: TypeAlias = Annotated[
    InnerShare, Search(0.1, 0.9), Symbol("split", "Changed share of a batch")
]
LoweredShare: TypeAlias = Annotated[
    Share,
    Search(0.0, 1.0, by_default=False),
    Symbol("A share", "Share of the challenged samples that are lowered"),
]
Clip: TypeAlias = Annotated[tuple[float, float], AfterValidator(_ordered)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSplit:
    """How many samples of a batch get challenge A and challenge B; the rest stay as they are.

    Of a joint batch these are samples of all replicas, as many of each.

    Attributes:
        a: The first ``a`` samples are lowered.
        b: The next ``b`` samples are raised.
    """

    a: int
    b: int

    @property
    def challenged(self) -> int:
        """Number of samples that are changed."""
        return self.a + self.b


def split_batch_size(batch_size: int, split: float, a_fraction: float) -> BatchSplit:
    """Divide a batch into A, B and the untouched rest; both A and B are rounded down.

    Example:
        >>> split_batch_size(30, 0.5, 0.5)
        BatchSplit(a=7, b=7)
    """
    # 0.29 * 100 is 28.999999999999996: a share that is a whole number must stay one.
    tolerance = 1e-9
    a = int(batch_size * split * a_fraction + tolerance)
    b = int(batch_size * split * (1 - a_fraction) + tolerance)
    return BatchSplit(a=a, b=b)


def split_batch(batch: Batch, split: float, a_fraction: float) -> BatchSplit:
    """Divide a batch as :func:`shares` divides each replica's part of it."""
    own = split_batch_size(len(batch) // batch.n_replicas, split, a_fraction)
    return BatchSplit(a=own.a * batch.n_replicas, b=own.b * batch.n_replicas)


def select_features(
    relevance: Float[Tensor, "batch channel *grid"],
    n_features: int | float,
    rng: ReplicaRNG,
    mask: Bool[Tensor, "batch feature"] | None = None,
) -> SelectedFeatures:
    """Take each sample's N highest or lowest relevances, by one coin flip per sample.

    Args:
        relevance: Attribution of the samples.
        n_features: N, a count (int) or a share of the input features (float).
        draws: Source of the coins.
        mask: Features that may be taken, or None for all.
    """
    flat = relevance.flatten(1)
    coin = rng.rand(len(flat), 1)
    return top_features(flat * torch.where(coin < 0.5, 1.0, -1.0), n_features, mask)


def random_features(batch: Batch, n_features: int | float, rng: ReplicaRNG) -> SelectedFeatures:
    """Take N different features per sample, each set equally likely; never padding."""
    scores = rng.rand(*batch.inputs.flatten(1).shape)
    return top_features(scores, n_features, batch.feature_mask)


def apply_challenge(
    inputs: Float[Tensor, "batch channel *grid"],
    features: SelectedFeatures,
    split_sizes: BatchSplit,
    strength: ChallengeStrength,
) -> Float[Tensor, "batch channel *grid"]:
    """Lower A's features by α and raise B's by β (eqs. 4 and 5); the input is left untouched.

    Args:
        inputs: Batch whose first ``parts.challenged`` samples are changed.
        features: The features to change, for each challenged sample.
        parts: How many samples are A and B.
        amounts: α, β and clipping.
    """
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
    """How far features are moved, in units of the model's inputs.

    Attributes:
        alpha: α, by which challenge A lowers.
        beta: β, by which challenge B raises.
        clip: Bounds to which changed samples are clipped, or None.
    """

    alpha: float
    beta: float
    clip: tuple[float, ...] | None = None


def check_feature_count(n_features: int | float, total: int) -> None:
    """Check N against the number of input features of the dataset."""
    rule = f"must not exceed the {total} input features"
    require(resolve_n_features(n_features, total) <= total, "n_features", rule, n_features)
