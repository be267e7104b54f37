"""The parts of a challenge: who is challenged, which features, and by how much."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trainables.batch import Batch
from trainables.checks import require
from trainables.draws import Draws
from trainables.methods.features import Features, count_features, highest


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
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


def shares(batch_size: int, split: float, a_share: float) -> Shares:
    """Divide a batch into A, B and the untouched rest; both A and B are rounded down.

    Example:
        >>> shares(30, 0.5, 0.5)
        Shares(a=7, b=7)
    """
    # 0.29 * 100 is 28.999999999999996: a share that is a whole number must stay one.
    margin = 1e-9
    a = int(batch_size * split * a_share + margin)
    b = int(batch_size * split * (1 - a_share) + margin)
    return Shares(a=a, b=b)


def batch_shares(batch: Batch, split: float, a_share: float) -> Shares:
    """Divide a batch as :func:`shares` divides each replica's part of it."""
    own = shares(len(batch) // batch.n_replicas, split, a_share)
    return Shares(a=own.a * batch.n_replicas, b=own.b * batch.n_replicas)


def select_features(
    relevance: Float[Tensor, "batch channel *grid"],
    n_features: int | float,
    draws: Draws,
    mask: Bool[Tensor, "batch feature"] | None = None,
) -> Features:
    """Take each sample's N highest or lowest relevances, by one coin flip per sample.

    Args:
        relevance: Attribution of the samples.
        n_features: N, a count (int) or a share of the input features (float).
        draws: Source of the coins.
        mask: Features that may be taken, or None for all.
    """
    flat = relevance.flatten(1)
    coin = draws.uniform(len(flat), 1)
    return highest(flat * torch.where(coin < 0.5, 1.0, -1.0), n_features, mask)


def random_features(batch: Batch, n_features: int | float, draws: Draws) -> Features:
    """Take N different features per sample, each set equally likely; never padding."""
    scores = draws.uniform(*batch.inputs.flatten(1).shape)
    return highest(scores, n_features, batch.feature_mask)


def apply_challenge(
    inputs: Float[Tensor, "batch channel *grid"],
    features: Features,
    parts: Shares,
    amounts: Amounts,
) -> Float[Tensor, "batch channel *grid"]:
    """Lower A's features by α and raise B's by β (eqs. 4 and 5); the input is left untouched.

    Args:
        inputs: Batch whose first ``parts.challenged`` samples are changed.
        features: The features to change, for each challenged sample.
        parts: How many samples are A and B.
        amounts: α, β and clipping.
    """
    flat = inputs.flatten(1).clone()
    step = flat.new_full((parts.challenged, 1), amounts.beta)
    step[: parts.a] = -amounts.alpha
    steps = step.expand_as(features.indices)
    if features.is_chosen is not None:
        steps = steps * features.is_chosen
    flat[: parts.challenged].scatter_add_(1, features.indices, steps)
    if amounts.clip is not None:
        flat[: parts.challenged].clamp_(*amounts.clip)
    return flat.reshape(inputs.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How far features are moved, in units of the model's inputs.

    Attributes:
        alpha: α, by which challenge A lowers.
        beta: β, by which challenge B raises.
        clip: Bounds to which changed samples are clipped, or None.
    """

    alpha: float
    beta: float
    clip: tuple[float, ...] | None = None


def check_amounts(alpha: float, beta: float, clip: tuple[float, ...] | None) -> None:
    """Check the settings that say how far features are moved."""
    require(alpha >= 0, "alpha", "must be 0 or more", alpha)
    require(beta >= 0, "beta", "must be 0 or more", beta)
    check_clip(clip)


def check_clip(clip: tuple[float, ...] | None) -> None:
    """Check the bounds to which changed samples are clipped."""
    if clip is not None:
        ordered = len(clip) == 2 and clip[0] < clip[1]
        require(ordered, "clip", "must be [low, high] with low below high", clip)


def check_selection(n_features: int | float, split: float, a_share: float) -> None:
    """Check the settings that say which samples and features are challenged."""
    if isinstance(n_features, int):
        require(n_features >= 1, "n_features", "as a count must be at least 1", n_features)
    else:
        in_range = 0 < n_features <= 1
        require(in_range, "n_features", "as a share must lie in (0, 1]", n_features)
    require(0 < split < 1, "split", "must lie in (0, 1)", split)
    require(0 <= a_share <= 1, "a_share", "must lie in [0, 1]", a_share)


def check_feature_count(n_features: int | float, total: int) -> None:
    """Check N against the number of input features of the dataset."""
    rule = f"must not exceed the {total} input features"
    require(count_features(n_features, total) <= total, "n_features", rule, n_features)
