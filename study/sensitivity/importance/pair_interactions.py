"""Interactions: the variance that pairs of dimensions explain beyond each of the two alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from study.records.errors import ReportError
from study.records.frames import Row, Tabular
from study.sensitivity.importance.fanova import TREES, forest_shares
from study.sensitivity.importance.search_data import (
    SearchData,
    require_trials,
    require_unconditional,
)
from study.sensitivity.importance.shares import (
    chance_level,
    percentile_interval,
    permutation_p_values,
)
from study.sensitivity.importance.sobol_analysis import (
    BLOCKS_SECOND,
    INTERVAL_METHOD,
    sobol_indices,
)
from study.sensitivity.intervals import CONFIDENCE

_TRIALS_PER_PAIR = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PairShare:
    """The interaction of two dimensions.

    Attributes:
        value: Share of the variance that the two explain together beyond each alone.
        p_value: Probability that chance alone makes any pair at least as important; None without
            a chance level.
    """

    first: str
    second: str
    value: float
    low: float
    high: float
    p_value: float | None

    @property
    def is_significant(self) -> bool:
        """Whether the share is above chance; without a level, whether its interval is above 0."""
        if self.p_value is None:
            return self.low > 0
        return self.p_value <= 1 - CONFIDENCE + 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Interactions(Tabular):
    """The interactions of all pairs of an arm's dimensions.

    Attributes:
        estimator: Title of the estimator: ``Sobol, second order``.
        pairs: The strongest first.
        level: Chance level over all pairs, or None.
        interval: Method of the intervals.
        chance: Method of the level; empty without one.
        notes: Reservations, in sentences.
    """

    data: SearchData
    estimator: str
    pairs: tuple[PairShare, ...]
    level: float | None
    interval: str
    chance: str
    notes: tuple[str, ...]

    def frame_rows(self) -> Iterator[Row]:
        """Yield a row per pair."""
        for pair in self.pairs:
            yield {
                **self.data.cells(),
                "estimator": self.estimator,
                "first": pair.first,
                "second": pair.second,
                "share": pair.value,
                "low": pair.low,
                "high": pair.high,
                "p_value": pair.p_value,
                "chance_level": self.level,
                "interval": self.interval,
                "chance": self.chance,
            }


def interactions(data: SearchData) -> Interactions:
    """Estimate the interactions of all pairs.

    SALib's second-order indices are used where the design has the blocks for them, else fANOVA's
    forest. The forest's shares include some noise, so that they must be compared with the chance
    level of the permutation test.

    Raises:
        ReportError: If the arm has a single dimension, one without a value in some trials, or
            too few trials.
    """
    if len(data.axes) < 2:
        raise ReportError(
            f"arm '{data.arm}': interactions need 2 dimensions, but it searches only "
            f"{data.dimensions[0]}; search another one too."
        )
    return _sobol_interactions(data) if data.second_order else _forest_interactions(data)


def min_trials_for_pairs(dimensions: int) -> int:
    """Return the number of trials that a forest needs for all pairs: 10 for each pair."""
    return max(30, _TRIALS_PER_PAIR * dimensions * (dimensions - 1) // 2)


def _sobol_interactions(data: SearchData) -> Interactions:
    needed, reason = BLOCKS_SECOND * data.block, f"{BLOCKS_SECOND} whole blocks"
    require_trials(data, "interaction analysis by Sobol indices", needed, reason)
    found = sobol_indices(data)
    places = list(combinations(range(len(data.axes)), 2))
    values = np.array([found["S2"][place] for place in places])
    half = np.array([found["S2_conf"][place] for place in places])
    return Interactions(
        data=data,
        estimator="Sobol, second order",
        pairs=_sorted_pairs(data, values, (values - half, values + half), None),
        level=None,
        interval=INTERVAL_METHOD,
        chance="",
        notes=(
            *data.notes,
            f"Intervals of {len(places)} pairs are not corrected for their number: about one of "
            f"twenty excludes the true value.",
        ),
    )


def _forest_interactions(data: SearchData) -> Interactions:
    require_unconditional(data, "interaction analysis")
    needed, reason = min_trials_for_pairs(len(data.axes)), f"{_TRIALS_PER_PAIR} for each pair"
    require_trials(data, "interaction analysis", needed, reason)
    found = forest_shares(data)
    upper = np.triu_indices(len(data.axes), 1)
    values, resampled = found.values[upper], found.resampled[:, *upper]
    max_shares = found.permuted[:, *upper].max(axis=1)
    return Interactions(
        data=data,
        estimator="fANOVA, pairs",
        pairs=_sorted_pairs(data, values, percentile_interval(values, resampled), max_shares),
        level=chance_level(max_shares),
        interval=found.interval,
        chance=found.chance,
        notes=(*data.notes, f"fANOVA: a forest of {TREES} trees."),
    )


def _sorted_pairs(
    data: SearchData,
    values: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    max_shares: np.ndarray | None,
) -> tuple[PairShare, ...]:
    found = _pairs(data, values, ends, max_shares)
    return tuple(sorted(found, key=lambda pair: -pair.value))


def _pairs(
    data: SearchData,
    values: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    max_shares: np.ndarray | None,
) -> Iterator[PairShare]:
    p_values = (
        [None] * len(values) if max_shares is None else permutation_p_values(values, max_shares)
    )
    names = combinations(data.dimensions, 2)
    for (first, second), value, low, high, p in zip(names, values, *ends, p_values, strict=True):
        yield PairShare(
            first=first,
            second=second,
            value=float(value),
            low=float(low),
            high=float(high),
            p_value=p,
        )
