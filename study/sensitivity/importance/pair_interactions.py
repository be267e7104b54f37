"""What pairs of dimensions explain beyond what each of the two does alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from study.records.errors import ReportError
from study.sensitivity.importance.fanova import TREES, forest_shares
from study.sensitivity.importance.search_data import SearchData
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
        first: Name of one dimension.
        second: Name of the other.
        value: Share of the variance that the two explain together beyond each alone.
        low: Lower end of its interval.
        high: Upper end.
        p_value: How often chance alone makes any pair at least as important, or None.
    """

    first: str
    second: str
    value: float
    low: float
    high: float
    p_value: float | None

    @property
    def is_significant(self) -> bool:
        """Whether it is more than chance; without a level, whether its interval lies above 0."""
        if self.p_value is None:
            return self.low > 0
        return self.p_value <= 1 - CONFIDENCE + 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Interactions:
    """The interactions of all pairs of an arm's dimensions.

    Attributes:
        basis: The trials they stand on.
        estimator: For people: ``Sobol, second order``.
        pairs: The strongest first.
        level: Level of chance over all pairs, or None.
        interval: How the intervals were made, for people.
        chance: How the level was made, for people; empty without one.
        notes: Reservations, in sentences.
    """

    basis: SearchData
    estimator: str
    pairs: tuple[PairShare, ...]
    level: float | None
    interval: str
    chance: str
    notes: tuple[str, ...]


def interactions(basis: SearchData) -> Interactions:
    """Measure the interactions of all pairs.

    By SALib's second-order indices where the design has the blocks for them; by fANOVA's forest
    elsewhere, whose pairs also hold what the forest makes of noise, so that its level of chance
    counts: values exchanged among trials, as if nothing mattered at all.

    Raises:
        ReportError: If the arm has a single dimension, one without a value in some trials, or
            too few trials.
    """
    if len(basis.axes) < 2:
        raise ReportError(
            f"arm '{basis.arm}': interactions need 2 dimensions, but it searches only "
            f"{basis.dimensions[0]}; search another one too."
        )
    return _sobol_interactions(basis) if basis.second_order else _forest_interactions(basis)


def min_trials_for_pairs(dimensions: int) -> int:
    """Give the trials that the shares of all pairs need by a forest: 10 for each pair."""
    return max(30, _TRIALS_PER_PAIR * dimensions * (dimensions - 1) // 2)


def _sobol_interactions(basis: SearchData) -> Interactions:
    needed = BLOCKS_SECOND * basis.block
    if basis.n < needed:
        raise ReportError(
            f"arm '{basis.arm}': interactions by Sobol indices need at least {needed} trials "
            f"({BLOCKS_SECOND} whole blocks), but there are {basis.n}; raise 'search.trials' and "
            f"resume the study."
        )
    found = sobol_indices(basis)
    places = list(combinations(range(len(basis.axes)), 2))
    values = np.array([found["S2"][place] for place in places])
    half = np.array([found["S2_conf"][place] for place in places])
    return Interactions(
        basis=basis,
        estimator="Sobol, second order",
        pairs=_sorted_pairs(basis, values, (values - half, values + half), None),
        level=None,
        interval=INTERVAL_METHOD,
        chance="",
        notes=(
            *basis.notes,
            f"Intervals of {len(places)} pairs are not corrected for their number: one of "
            f"twenty leaves out the truth.",
        ),
    )


def _forest_interactions(basis: SearchData) -> Interactions:
    _require_forest(basis)
    found = forest_shares(basis)
    upper = np.triu_indices(len(basis.axes), 1)
    values, resampled = found.values[upper], found.resampled[:, *upper]
    largest = found.permuted[:, *upper].max(axis=1)
    return Interactions(
        basis=basis,
        estimator="fANOVA, pairs",
        pairs=_sorted_pairs(basis, values, percentile_interval(values, resampled), largest),
        level=chance_level(largest),
        interval=found.interval,
        chance=found.chance,
        notes=(*basis.notes, f"fANOVA: a forest of {TREES} trees."),
    )


def _require_forest(basis: SearchData) -> None:
    if basis.conditions:
        name, condition = basis.conditions[0]
        raise ReportError(
            f"arm '{basis.arm}': interactions need a value of every dimension in every trial, but "
            f"{name} has one only where {condition.dimension} is {condition.value}; hold "
            f"{condition.dimension} at one value in the study file."
        )
    needed = min_trials_for_pairs(len(basis.axes))
    if basis.n < needed:
        raise ReportError(
            f"arm '{basis.arm}': interactions of {len(basis.axes)} dimensions need at least "
            f"{needed} trials ({_TRIALS_PER_PAIR} for each pair), but there are {basis.n}; raise "
            f"'search.trials' and resume the study."
        )


def _sorted_pairs(
    basis: SearchData,
    values: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    largest: np.ndarray | None,
) -> tuple[PairShare, ...]:
    found = _pairs(basis, values, ends, largest)
    return tuple(sorted(found, key=lambda pair: -pair.value))


def _pairs(
    basis: SearchData,
    values: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    largest: np.ndarray | None,
) -> Iterator[PairShare]:
    p_values = [None] * len(values) if largest is None else permutation_p_values(values, largest)
    names = combinations(basis.dimensions, 2)
    for (first, second), value, low, high, p in zip(names, values, *ends, p_values, strict=True):
        yield PairShare(
            first=first,
            second=second,
            value=float(value),
            low=float(low),
            high=float(high),
            p_value=p,
        )
