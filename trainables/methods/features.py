"""Which input features a method chooses in each sample: those of the highest scores."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """Features chosen in each sample.

    Attributes:
        indices: Indices into the flattened features, different within a sample.
        is_chosen: Which of them are really chosen, where samples choose different numbers; None
            if all are.
    """

    indices: Int[Tensor, "batch count"]
    is_chosen: Bool[Tensor, "batch count"] | None


def count_features(n_features: int | float, total: int) -> int:
    """Turn N, a count (int) or a share of the input features (float), into a count ≥ 1."""
    if isinstance(n_features, int):
        return n_features
    return max(1, round(n_features * total))


def highest(
    scores: Float[Tensor, "batch feature"],
    n_features: int | float,
    mask: Bool[Tensor, "batch feature"] | None = None,
) -> Features:
    """Choose each sample's N features of the highest scores.

    Where a sample has padding, N as a share is one of its own features that are none, and N as a
    count is at most their number: a short text is not changed from end to end.

    Args:
        scores: A score per feature.
        n_features: N, a count (int) or a share of the features (float), at least 1.
        mask: Features that may be chosen, or None for all.
    """
    count = count_features(n_features, scores.shape[1])
    if mask is None:
        return Features(indices=scores.topk(count, dim=1, sorted=False).indices, is_chosen=None)
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
    return Features(indices=best.indices, is_chosen=best.values < math.inf)
