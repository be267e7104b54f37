"""Interactions: the variance that pairs of dimensions explain beyond each of the two alone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from study.records.errors import ReportError
from study.records.frames import Row
from study.sensitivity.importance.fanova import TREES, forest_shares
from study.sensitivity.importance.search_data import (
    SearchData,
    require_trials,
    require_unconditional,
)
from study.sensitivity.importance.shares import (
    EstimatedShares,
    Share,
    SharesRecord,
    is_above_chance,
)
from study.sensitivity.importance.sobol_analysis import (
    BLOCKS_SECOND,
    INTERVAL_METHOD,
    sobol_indices,
)

_TRIALS_PER_PAIR = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PairShare(Share):
    """The share that two dimensions explain together beyond each alone."""

    first: str
    second: str

    @property
    def is_significant(self) -> bool:
        """Whether the share is above chance; without a level, whether its interval is above 0."""
        return self.low > 0 if self.p_value is None else is_above_chance(self.p_value)

    def name_cells(self) -> Row:
        """Return the two dimensions."""
        return {"first": self.first, "second": self.second}


class Interactions(SharesRecord[PairShare]):
    """The interactions of all pairs of an arm's dimensions; ``name`` is the estimator's title."""

    __slots__ = ()


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
    found = _sobol_interactions(data) if data.second_order else _forest_interactions(data)
    names = combinations(data.dimensions, 2)
    pairs = (
        PairShare(first=first, second=second, value=value, low=low, high=high, p_value=p)
        for (first, second), (value, low, high, p) in zip(names, found.rows(), strict=True)
    )
    return Interactions(
        data=data,
        name="Sobol, second order" if data.second_order else "fANOVA, pairs",
        shares=tuple(sorted(pairs, key=lambda pair: -pair.value)),
        level=found.level,
        interval=found.interval,
        chance=found.chance,
        notes=(*data.notes, *found.notes),
    )


def min_trials_for_pairs(dimensions: int) -> int:
    """Return the number of trials that a forest needs for all pairs: 10 for each pair."""
    return max(30, _TRIALS_PER_PAIR * dimensions * (dimensions - 1) // 2)


def _sobol_interactions(data: SearchData) -> EstimatedShares:
    needed, reason = BLOCKS_SECOND * data.block, f"{BLOCKS_SECOND} whole blocks"
    require_trials(data, "interaction analysis by Sobol indices", needed, reason)
    found, upper = sobol_indices(data), np.triu_indices(len(data.axes), 1)
    values, half = found["S2"][upper], found["S2_conf"][upper]
    return EstimatedShares(
        values=values,
        ends=(values - half, values + half),
        max_shares=None,
        interval=INTERVAL_METHOD,
        chance="",
        notes=(
            f"Intervals of {len(values)} pairs are not corrected for their number: about one of "
            f"twenty excludes the true value.",
        ),
    )


def _forest_interactions(data: SearchData) -> EstimatedShares:
    require_unconditional(data, "interaction analysis")
    needed, reason = min_trials_for_pairs(len(data.axes)), f"{_TRIALS_PER_PAIR} for each pair"
    require_trials(data, "interaction analysis", needed, reason)
    upper = np.triu_indices(len(data.axes), 1)
    return forest_shares(data).select(upper, f"fANOVA: a forest of {TREES} trees.")
