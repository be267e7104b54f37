"""RelDrop's pixel variant in the symbols of arXiv:2505.21595, one sample at a time."""

from __future__ import annotations

from collections.abc import Sequence


def rescaled(relevance: Sequence[float]) -> list[float]:
    """Scale the relevances of a sample to [0, 1]."""
    low, high = min(relevance), max(relevance)
    if low == high:
        return [0.0] * len(relevance)
    return [(r - low) / (high - low) for r in relevance]


def is_dropped(r_hat: float, u: float, alpha: float, beta: float) -> bool:
    """Tell whether a position is dropped, given its uniform draw."""
    return alpha * u + (1 - alpha) * r_hat >= 1 - beta


def drop_probability(r_hat: float, alpha: float, beta: float) -> float:
    """Give the probability of the same over u, in closed form."""
    if alpha == 0:
        return float(r_hat >= 1 - beta)
    return min(1.0, max(0.0, (alpha + beta - 1 + (1 - alpha) * r_hat) / alpha))
