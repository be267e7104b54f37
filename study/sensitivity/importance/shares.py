"""Importance records, with bootstrap intervals and permutation tests of the shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from study.records.frames import Row, Tabular
from study.sensitivity.importance.search_data import SearchData
from study.sensitivity.intervals import CONFIDENCE
from trainables.seeding import derive_seed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EstimatedShares:
    """The result of an estimator: arrays with an entry per dimension, or per pair of them.

    Attributes:
        max_shares: Largest share of all in each study without effects that was drawn, at least
            19; None where no such study can be drawn.
        interval: Method of the intervals.
        chance: Method of ``max_shares``; empty without them.
        notes: Reservations, in sentences.
    """

    values: Float[np.ndarray, " share"]
    ends: tuple[Float[np.ndarray, " share"], Float[np.ndarray, " share"]]
    max_shares: Float[np.ndarray, " draw"] | None
    interval: str
    chance: str
    notes: tuple[str, ...] = ()

    @property
    def level(self) -> float | None:
        """Level that the largest share exceeds in at most 5 % of studies without effects."""
        return None if self.max_shares is None else chance_level(self.max_shares)

    def rows(self) -> Iterator[tuple[float, float, float, float | None]]:
        """Yield value, ends and p value of each share."""
        p_values: Sequence[float | None] = [None] * len(self.values)
        if self.max_shares is not None:
            p_values = permutation_p_values(self.values, self.max_shares)
        low, high = (ends.tolist() for ends in self.ends)
        yield from zip(self.values.tolist(), low, high, p_values, strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share(ABC):
    """An importance, in the unit of its estimator.

    Attributes:
        p_value: Probability that chance alone makes any share at least as large; None without a
            chance level.
    """

    value: float
    low: float
    high: float
    p_value: float | None

    @property
    def is_significant(self) -> bool:
        """Whether the share is above chance, over all shares together."""
        return self.p_value is not None and is_above_chance(self.p_value)

    @abstractmethod
    def name_cells(self) -> Row:
        """Return the cells that name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DimensionShare(Share):
    """The importance of one dimension."""

    dimension: str

    def name_cells(self) -> Row:
        """Return the dimension."""
        return {"dimension": self.dimension}


_S = TypeVar("_S", bound=Share)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharesRecord(Tabular, Generic[_S]):
    """The shares of an arm's dimensions, or of their pairs, by one estimator.

    Attributes:
        name: Name of the estimator.
        shares: The largest first.
        level: Chance level over all shares, or None.
        interval: Method of the intervals.
        chance: Method of the level; empty without one.
        notes: Reservations of data and estimator, in sentences.
    """

    data: SearchData
    name: str
    shares: tuple[_S, ...]
    level: float | None
    interval: str
    chance: str
    notes: tuple[str, ...]

    def frame_rows(self) -> Iterator[Row]:
        """Yield a row per share."""
        for share in self.shares:
            yield {
                **self.data.cells(),
                "estimator": self.name,
                **share.name_cells(),
                "share": share.value,
                "low": share.low,
                "high": share.high,
                "p_value": share.p_value,
                "chance_level": self.level,
                "is_more_than_chance": share.is_significant,
                "interval": self.interval,
                "chance": self.chance,
            }


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportanceEstimator:
    """An estimator of importances.

    Attributes:
        question: The question it answers, as the end of a sentence: ``what explains the
            variance``.
        share_of: The whole of a share: ``of the variance``.
        axis: Label of an axis of shares, with its unit.
        factor: Shown number over stored number; 100 for percent.
        samplers: Samplers of which it accepts trials; empty for all.
        min_trials: Number of trials that it needs.
        min_trials_reason: Reason for that number.
        supports_conditions: Whether dimensions may be inactive in some trials.
    """

    title: str
    question: str
    share_of: str = "of the variance"
    axis: str = "Share of the variance [%]"
    factor: float = 100.0
    samplers: tuple[str, ...] = ()
    min_trials: Callable[[SearchData], int]
    min_trials_reason: str
    supports_conditions: bool = False
    measure: Callable[[SearchData], EstimatedShares]


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance(SharesRecord[DimensionShare]):
    """The importances of an arm's dimensions by one estimator of IMPORTANCES."""

    estimator: ImportanceEstimator

    def get(self, dimension: str) -> DimensionShare:
        """Return the share of one of the dimensions."""
        return next(share for share in self.shares if share.dimension == dimension)


def is_above_chance(p_value: float) -> bool:
    """Return whether a p value, which is a multiple of 1/(draws + 1), is at most 5 %."""
    return p_value <= 1 - CONFIDENCE + 1e-9


def norm_quantile(shares: int = 1) -> float:
    """Return the half-width of a normal interval in standard errors, for all of so many shares."""
    return float(stats.norm.ppf(1 - (1 - CONFIDENCE) / 2 / shares))


def min_per_dimension(least: int) -> Callable[[SearchData], int]:
    """Return the rule of 10 trials for each dimension, and a least number."""
    return lambda data: max(least, 10 * len(data.axes))


def estimator_rng(data: SearchData, *purpose: str) -> np.random.Generator:
    """Return the random stream of one purpose, derived from arm, metric and purpose."""
    return np.random.default_rng(estimator_seed(data, *purpose))


def estimator_seed(data: SearchData, *purpose: str) -> int:
    """Return the seed of one purpose, from 1 to 2³¹: some libraries treat 0 as no seed."""
    return 1 + derive_seed(0, "importance", data.arm, data.metric, *purpose) % (2**31 - 1)


def bootstrap(data: SearchData, draws: int, *purpose: str) -> Iterator[Int[np.ndarray, " trial"]]:
    """Yield indices of trials drawn with replacement, in Saltelli's design by whole blocks."""
    rng, blocks = estimator_rng(data, "bootstrap", *purpose), data.n // data.block
    inside = np.arange(data.block)
    for _ in range(draws):
        chosen = rng.integers(blocks, size=blocks)
        yield (chosen[:, None] * data.block + inside).ravel()


def permutations(
    data: SearchData, draws: int, *purpose: str
) -> Iterator[Float[np.ndarray, " trial"]]:
    """Yield the values in random orders, which are independent of all dimensions.

    Saltelli's design is permuted by whole blocks: its points share coordinates, so that a
    dimension without effect seems to have one where trials are permuted singly.
    """
    rng, blocks = estimator_rng(data, "permutation", *purpose), data.y.reshape(-1, data.block)
    for _ in range(draws):
        yield rng.permutation(blocks).ravel()


def percentile_interval(
    values: Float[np.ndarray, ...], drawn: Float[np.ndarray, "draw ..."]
) -> tuple[Float[np.ndarray, ...], Float[np.ndarray, ...]]:
    """Compute the percentile interval of each share, extended to include the share.

    It covers the variation between sets of trials, not the bias of the estimate.
    """
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail), axis=0)
    return np.minimum(low, values), np.maximum(high, values)


def chance_level(max_shares: Float[np.ndarray, " draw"]) -> float:
    """Compute the level that the largest share exceeds in at most 5 % of the draws and the study.

    Exactly the shares above it have a p value of at most 0.05.
    """
    rank = int((1 - CONFIDENCE) * (len(max_shares) + 1) + 1e-9)
    return float(np.sort(max_shares)[-rank])


def permutation_p_values(
    values: Float[np.ndarray, " share"], max_shares: Float[np.ndarray, " draw"]
) -> list[float]:
    """Compute the p value of each share by the largest shares of the permutations.

    The study itself counts as one of the draws (Phipson and Smyth, 2010), so that p is never 0.
    """
    exceeding = (max_shares[:, None] >= values[None, :]).sum(axis=0)
    return [float(p) for p in (1 + exceeding) / (1 + len(max_shares))]
