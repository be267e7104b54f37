"""Permutation tests within blocks, and the effect of a swept dimension by them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from study.sensitivity.sweep_curves import DimensionCurve
from trainables.seeding import derive_seed

_PERMUTATIONS = 9999


def block_test(values: Float[np.ndarray, "level block"], *purpose: str) -> float:
    """Compute the p value of the hypothesis that the means of all levels are equal.

    Under the hypothesis the values of one block (a seed, a dataset) are exchangeable. The
    statistic is the variance of the levels' means. All orders are tried where there are at most
    9,999, else as many at random. Neither normality nor equal variances are assumed; on ranks it
    is Friedman's test without its approximation.

    Args:
        values: A value per level and block, at least two of each.
        purpose: Seeds the random orders.

    References:
        Edgington and Onghena, Randomization Tests, 2007, chapter 5 (repeated measures).

    Example:
        >>> block_test(np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]))
        0.25
    """
    # Differences of rounding are no effect.
    spread = float(values.std(axis=0).max())
    if spread <= 1e-12 * float(np.abs(values).max() or 1.0):
        return 1.0
    found = stats.permutation_test(
        tuple(values),
        _variance_of_means,
        permutation_type="samples",
        vectorized=True,
        n_resamples=_PERMUTATIONS,
        batch=500,
        alternative="greater",
        rng=np.random.default_rng(derive_seed(0, "block_test", *purpose)),
    )
    return float(found.pvalue)


def _variance_of_means(*values: Float[np.ndarray, ...], axis: int) -> Float[np.ndarray, ...]:
    # Rounded, so that orders with equal means have equal statistics.
    spread: Float[np.ndarray, ...] = np.var([value.mean(axis=axis) for value in values], axis=0)
    return spread.round(15)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepEffect:
    """The effect of a dimension's values on a metric, tested within seeds.

    Attributes:
        share: Share of the variance within a seed that the value explains (partial η²), from 0
            to 1.
        expected_share: Its expectation where the value does not matter: 1/n.
        values: Number of values k.
        n: Number of seeds.
        min_p_value: Smallest p value that k values and n seeds can give: (k!)^(1-n), since
            renaming the values changes nothing.
    """

    p_value: float
    share: float
    expected_share: float
    values: int
    n: int
    min_p_value: float


def sweep_effect(curve: DimensionCurve) -> SweepEffect:
    """Test whether a metric depends on the swept dimension, by permutation within seeds.

    It is one test for the whole curve, so that the choice of its lowest and highest value needs
    no correction. The points must share their seeds.
    """
    values = np.array([point.replicas for point in curve.points])
    purpose = (curve.study, curve.arm, curve.dimension, curve.metric)
    count, n = values.shape
    return SweepEffect(
        p_value=block_test(values, *purpose),
        share=_share(values),
        expected_share=1 / n,
        values=count,
        n=n,
        min_p_value=float(math.factorial(count)) ** (1 - n),
    )


def _share(values: Float[np.ndarray, "value seed"]) -> float:
    within = values - values.mean(axis=0)
    total = float((within**2).sum())
    between = len(within[0]) * float((within.mean(axis=1) ** 2).sum())
    return between / total if total > 0 else 0.0
