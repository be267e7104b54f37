"""Which swept values may be the best: multiple comparisons with the best, paired by seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from study.records.frames import Row, Tabular
from study.records.labels import Direction
from study.records.trial_table import ParamValue
from study.sensitivity.intervals import CONFIDENCE
from study.sensitivity.sweep_curves import DimensionCurve


@dataclass(frozen=True, slots=True, kw_only=True)
class BestIntervals:
    """Simultaneous intervals for every level's distance to the best of the others.

    Attributes:
        low: Lower ends, at most 0: how much worse than the best other level this one may be.
        high: Upper ends, at least 0: how much better than the best other level it may be.
        may_be_best: Whether the level may be the best one.
    """

    low: Float[np.ndarray, " level"]
    high: Float[np.ndarray, " level"]
    may_be_best: Bool[np.ndarray, " level"]


def intervals_to_best(
    values: Float[np.ndarray, "level block"], confidence: float = CONFIDENCE
) -> BestIntervals:
    """Compute simultaneous intervals for the mean of a level minus the best mean of the others.

    All intervals hold together with at least the stated confidence, so that the levels that may
    be the best contain the best one. Pairs of levels have a variance of their own, and the
    critical value is Student's with Bonferroni's correction over the other levels: a value of
    Dunnett's kind, with an assumed correlation of 1/2, shortens the set by 1 to 3 % of the levels
    and covers a little less than it states where variances differ.

    Args:
        values: A value per level and block (a seed), higher is better; at least two of each.
        confidence: Between 0 and 1.

    References:
        Hsu, Multiple Comparisons: Theory and Methods, 1996, chapter 4 (constrained intervals);
        Edwards and Hsu, JASA 78, 1983 (several variances).
    """
    count, n = values.shape
    if count < 2 or n < 2:
        raise ValueError(f"values must have at least 2 levels and 2 blocks, got {count} and {n}")
    pairs = values[:, None, :] - values[None, :, :]
    difference = pairs.mean(axis=2)
    reach = pairs.std(axis=2, ddof=1) / np.sqrt(n)
    reach *= stats.t.ppf(1 - (1 - confidence) / (count - 1), n - 1)
    itself = np.eye(count, dtype=bool)
    high = np.where(itself, np.inf, difference + reach).min(axis=1)
    # A level that equals the best one in every block is as good.
    may_be_best = high >= 0
    low = np.where(itself | ~may_be_best[None, :], np.inf, difference - reach).min(axis=1)
    return BestIntervals(
        low=np.where(np.isinf(low), 0.0, np.minimum(low, 0.0)),
        high=np.maximum(high, 0.0),
        may_be_best=may_be_best,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueToBest:
    """One swept value against the best of the others.

    Attributes:
        worse: Largest amount by which it may be worse, in the metric's unit, at least 0.
        better: Largest amount by which it may be better, at least 0.
    """

    value: ParamValue
    may_be_best: bool
    worse: float
    better: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BestSet(Tabular):
    """The values of a sweep that may be the best, with 95 % confidence for all of them together.

    Attributes:
        n: Number of seeds that all values share.
        values: All swept values, in the order of the curve.
    """

    study: str
    arm: str
    dimension: str
    metric: str
    direction: Direction
    n: int
    values: tuple[ValueToBest, ...]

    @property
    def best(self) -> tuple[ParamValue, ...]:
        """The values that may be the best; the best one is among them."""
        return tuple(one.value for one in self.values if one.may_be_best)

    @property
    def margin(self) -> float:
        """Most that a value of the set may lose against the best one, in the metric's unit."""
        return max(one.worse for one in self.values if one.may_be_best)

    def frame_rows(self) -> Iterator[Row]:
        """Yield a row per value."""
        for one in self.values:
            yield {
                "arm": self.arm,
                "metric": self.metric,
                "dimension": self.dimension,
                "value": one.value,
                "may_be_best": one.may_be_best,
                "at_most_worse": one.worse,
                "at_most_better": one.better,
                "n": self.n,
            }


def best_set(curve: DimensionCurve) -> BestSet:
    """Compute which values of a sweep may be the best; the points must share their seeds."""
    sign = 1.0 if curve.direction == "maximize" else -1.0
    found = intervals_to_best(sign * np.array([point.replicas for point in curve.points]))
    return BestSet(
        study=curve.study,
        arm=curve.arm,
        dimension=curve.dimension,
        metric=curve.metric,
        direction=curve.direction,
        n=curve.n,
        values=tuple(
            ValueToBest(
                value=point.value,
                may_be_best=bool(candidate),
                worse=float(-low),
                better=float(high),
            )
            for point, low, high, candidate in zip(
                curve.points, found.low, found.high, found.may_be_best, strict=True
            )
        ),
    )
