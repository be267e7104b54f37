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


def block_test(values: Float[np.ndarray, "setting block"], *purpose: str) -> float:
    """Give the p value of the settings' means being as far apart as they are.

    Under the hypothesis that the setting does not matter, the values of one block (a seed, a
    dataset) may change places. The statistic is the variance of the settings' means. All orders
    are tried where there are at most 9,999, else as many at random. Neither normality nor equal
    variances are assumed; on ranks it is Friedman's test without its approximation.

    Args:
        values: A value per setting and block, at least two of each.
        purpose: What it is for; the random orders follow from it.

    References:
        Edgington and Onghena, Randomization Tests, 2007, chapter 5 (repeated measures).

    Example:
        >>> block_test(np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]))
        0.25
    """
    # Equal up to rounding is equal: a sum in another order is no effect.
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
    # Rounded, since orders that give the same means must count as equally far apart.
    spread: Float[np.ndarray, ...] = np.var([value.mean(axis=axis) for value in values], axis=0)
    return spread.round(15)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepEffect:
    """What the values of a dimension do to a metric, beyond what the seeds do.

    Attributes:
        p_value: Chance of means as far apart as these, were the values all alike.
        share: Share of the variance within a seed that the value explains (partial η²), from 0
            to 1.
        by_chance: That share to expect where the value does not matter: 1/n.
        values: Number of values k.
        n: Number of seeds.
        least_p: Smallest p value that so few values and seeds can give: (k!)^(1-n), since
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

    One test for the whole curve, so that the choice of its lowest and highest value needs no
    correction.

    Args:
        curve: A curve whose points share their seeds.
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
