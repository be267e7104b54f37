"""Intervals by drawing trials again, and the level of chance by exchanging their values."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from study.sensitivity.importance.basis import GlobalBasis
from study.sensitivity.importance.record import Share
from study.sensitivity.intervals import CONFIDENCE
from trainables.seeding import derive_seed


def stream(basis: GlobalBasis, *purpose: str) -> np.random.Generator:
    """Make the random stream of one purpose; the same basis and purpose give the same numbers."""
    return np.random.default_rng(seed_of(basis, *purpose))


def seed_of(basis: GlobalBasis, *purpose: str) -> int:
    """Give the seed of one purpose, from 1 to 2³¹: some libraries take 0 for no seed."""
    return 1 + derive_seed(0, "importance", basis.arm, basis.metric, *purpose) % (2**31 - 1)


def bootstrap(
    basis: GlobalBasis, draws: int, *purpose: str
) -> Iterator[Int[np.ndarray, " trial"]]:
    """Draw trials with replacement, of Saltelli's design whole blocks; gives their places."""
    rng, blocks = stream(basis, "bootstrap", *purpose), basis.n // basis.block
    inside = np.arange(basis.block)
    for _ in range(draws):
        chosen = rng.integers(blocks, size=blocks)
        yield (chosen[:, None] * basis.block + inside).ravel()


def permutations(
    basis: GlobalBasis, draws: int, *purpose: str
) -> Iterator[Float[np.ndarray, " trial"]]:
    """Give the values in random orders, so that no dimension has anything to do with them."""
    rng = stream(basis, "permutation", *purpose)
    for _ in range(draws):
        yield rng.permutation(basis.y)


def percentile_ends(
    values: Float[np.ndarray, ...], drawn: Float[np.ndarray, "draw ..."]
) -> tuple[Float[np.ndarray, ...], Float[np.ndarray, ...]]:
    """Give the percentile interval of each share; it is widened where it does not hold its value.

    It says how much the estimate varies from one set of trials to another, not how far its
    expectation is from the truth.
    """
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail), axis=0)
    return np.minimum(low, values), np.maximum(high, values)


def chance_level(largest: Float[np.ndarray, " draw"]) -> float:
    """Give the level that the largest share exceeds in at most 5 % of the draws and the study.

    A share above it has a p value of at most 0.05, and one at or below it has not.

    Args:
        largest: Largest share over all dimensions under chance, per draw; at least 19.
    """
    rank = int((1 - CONFIDENCE) * (len(largest) + 1) + 1e-9)
    return float(np.sort(largest)[-rank])


def chance_p(
    values: Float[np.ndarray, " share"], largest: Float[np.ndarray, " draw"]
) -> list[float]:
    """Give for each share how often the largest one under chance reaches it.

    The study itself counts as one of the draws (Phipson and Smyth, 2010), so that p is never 0.
    """
    exceeding = (largest[:, None] >= values[None, :]).sum(axis=0)
    return [float(p) for p in (1 + exceeding) / (1 + len(largest))]


def to_shares(
    basis: GlobalBasis,
    values: Float[np.ndarray, " dimension"],
    ends: tuple[Float[np.ndarray, " dimension"], Float[np.ndarray, " dimension"]],
    largest: Float[np.ndarray, " draw"] | None,
) -> tuple[Share, ...]:
    """Put values, intervals and p values together, one share per dimension."""
    p_values = [None] * len(values) if largest is None else chance_p(values, largest)
    return tuple(
        Share(dimension=name, value=float(value), low=float(low), high=float(high), p_value=p)
        for name, value, low, high, p in zip(
            basis.dimensions, values, *ends, p_values, strict=True
        )
    )
