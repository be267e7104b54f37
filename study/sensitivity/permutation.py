"""Do the columns of a table of blocks differ? An exact test by permutation within blocks."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import stats

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
