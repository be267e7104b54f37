"""Importance records, with bootstrap intervals and permutation tests of the shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from study.sensitivity.importance.search_data import SearchData
from study.sensitivity.intervals import CONFIDENCE
from trainables.seeding import derive_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class DimensionShare:
    """The importance of one dimension.

    Attributes:
        dimension: Name of the dimension.
        value: The importance; what it is a share of, the estimator says.
        low: Lower end of its interval.
        high: Upper end.
        p_value: How often chance alone makes any dimension at least as important, or None
            where chance has no level.
    """

    dimension: str
    value: float
    low: float
    high: float
    p_value: float | None

    @property
    def is_significant(self) -> bool:
        """Whether it is more than chance, over all dimensions together."""
        return self.p_value is not None and self.p_value <= 1 - CONFIDENCE + 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatedShares:
    """What an estimator makes of a basis.

    Attributes:
        shares: One per dimension, in the arm's order.
        level: What the largest importance of any dimension stays below in 95 % of studies in
            which chance alone is at work, or None.
        interval: How the intervals were made, for people.
        chance: How the level was made, for people; empty without one.
        notes: Reservations, in sentences.
    """

    shares: tuple[DimensionShare, ...]
    level: float | None
    interval: str
    chance: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportanceEstimator:
    """A way to measure importances.

    Attributes:
        title: For people: ``fANOVA``.
        question: What it answers, as the end of a sentence: ``what explains the variance``.
        explains: What a share is of: ``of the variance``.
        axis: What an axis of shares is called, with its unit.
        factor: Shown number over stored number; 100 for per cent.
        designs: Samplers of which it takes trials, or empty for all.
        least: Number of trials that it needs of a basis.
        why: Why it needs that many.
        takes_conditions: Whether a dimension may have no value in some trials.
        measure: The estimator itself.
    """

    title: str
    question: str
    share_of: str
    axis: str
    factor: float
    samplers: tuple[str, ...]
    min_trials: Callable[[SearchData], int]
    min_trials_reason: str
    supports_conditions: bool
    measure: Callable[[SearchData], EstimatedShares]


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """The importances of an arm's dimensions by one estimator.

    Attributes:
        basis: The trials it stands on.
        name: Name of the estimator in IMPORTANCES.
        estimator: The estimator.
        shares: One per dimension, the most important first.
        level: Level of chance over all dimensions, or None.
        interval: How the intervals were made, for people.
        chance: How the level was made, for people; empty without one.
        notes: Reservations of basis and estimator, in sentences.
    """

    basis: SearchData
    name: str
    estimator: ImportanceEstimator
    shares: tuple[DimensionShare, ...]
    level: float | None
    interval: str
    chance: str
    notes: tuple[str, ...]

    def get(self, dimension: str) -> DimensionShare:
        """Give the share of a dimension; StopIteration if there is none."""
        return next(share for share in self.shares if share.dimension == dimension)


def estimator_rng(basis: SearchData, *purpose: str) -> np.random.Generator:
    """Make the random stream of one purpose; the same basis and purpose give the same numbers."""
    return np.random.default_rng(estimator_seed(basis, *purpose))


def estimator_seed(basis: SearchData, *purpose: str) -> int:
    """Give the seed of one purpose, from 1 to 2³¹: some libraries take 0 for no seed."""
    return 1 + derive_seed(0, "importance", basis.arm, basis.metric, *purpose) % (2**31 - 1)


def bootstrap(basis: SearchData, draws: int, *purpose: str) -> Iterator[Int[np.ndarray, " trial"]]:
    """Draw trials with replacement, of Saltelli's design whole blocks; gives their places."""
    rng, blocks = estimator_rng(basis, "bootstrap", *purpose), basis.n // basis.block
    inside = np.arange(basis.block)
    for _ in range(draws):
        chosen = rng.integers(blocks, size=blocks)
        yield (chosen[:, None] * basis.block + inside).ravel()


def permutations(
    basis: SearchData, draws: int, *purpose: str
) -> Iterator[Float[np.ndarray, " trial"]]:
    """Give the values in random orders, so that no dimension has anything to do with them."""
    rng = estimator_rng(basis, "permutation", *purpose)
    for _ in range(draws):
        yield rng.permutation(basis.y)


def percentile_interval(
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


def permutation_p_values(
    values: Float[np.ndarray, " share"], largest: Float[np.ndarray, " draw"]
) -> list[float]:
    """Give for each share how often the largest one under chance reaches it.

    The study itself counts as one of the draws (Phipson and Smyth, 2010), so that p is never 0.
    """
    exceeding = (largest[:, None] >= values[None, :]).sum(axis=0)
    return [float(p) for p in (1 + exceeding) / (1 + len(largest))]


def to_shares(
    basis: SearchData,
    values: Float[np.ndarray, " dimension"],
    ends: tuple[Float[np.ndarray, " dimension"], Float[np.ndarray, " dimension"]],
    largest: Float[np.ndarray, " draw"] | None,
) -> tuple[DimensionShare, ...]:
    """Put values, intervals and p values together, one share per dimension."""
    p_values = [None] * len(values) if largest is None else permutation_p_values(values, largest)
    return tuple(
        DimensionShare(
            dimension=name, value=float(value), low=float(low), high=float(high), p_value=p
        )
        for name, value, low, high, p in zip(
            basis.dimensions, values, *ends, p_values, strict=True
        )
    )
