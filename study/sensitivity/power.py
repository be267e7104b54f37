"""The power of paired comparisons: what a number of replicas shows, and how many it takes."""

from __future__ import annotations

import math
from typing import Final

from scipy import optimize, stats

from study.sensitivity.intervals import CONFIDENCE, PairedDifference

POWER = 0.8
"""Share of studies in which a detectable difference is shown."""

MOST_REPLICAS: Final = 1000
"""More seeds than a study may have."""


def detectable_difference(difference: PairedDifference, *, family: int = 1) -> float | None:
    """Return the smallest true difference that a study of this n and spread shows.

    The spread is that of the differences at hand, so that the value is an estimate itself; see
    :func:`detectable`.

    Args:
        difference: The comparison, for its n and the standard deviation of its differences.
        family: Comparisons in the family.

    Returns:
        A difference ≥ 0 in the unit of the values; None where all differences are equal, so
        that there is no spread to estimate from.
    """
    spread = paired_spread(difference)
    return None if spread == 0 else detectable(spread, difference.n, family=family)


def paired_spread(difference: PairedDifference) -> float:
    """Return the standard deviation of the differences over seeds, in the unit of the values."""
    error = (
        difference.interval.width / 2 / float(stats.t.ppf((1 + CONFIDENCE) / 2, difference.n - 1))
    )
    return error * math.sqrt(difference.n)


def spread_interval(spread: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a standard deviation that n normal differences gave."""
    low, high = (
        spread * math.sqrt((n - 1) / float(stats.chi2.ppf(share, n - 1)))
        for share in ((1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2)
    )
    return low, high


def detectable(spread: float, n: int, *, family: int = 1) -> float:
    """Return the smallest true difference that n pairs show in 80 % of studies.

    Shown is what the paired t test, two-sided at 5 % over the family (the first step of Holm's
    correction, the strictest), finds.

    Args:
        spread: Standard deviation of the differences over seeds, above 0.
        n: Pairs, at least 2.
        family: Comparisons in the family.

    Returns:
        A difference in the unit of the spread.

    References:
        Cohen, Statistical Power Analysis, 1988, chapter 2: the noncentral t distribution.
    """
    critical = float(stats.t.isf((1 - CONFIDENCE) / 2 / family, n - 1))

    def missing_power(shift: float) -> float:
        # The other tail is below 1e-4 where the power is near 80 %.
        return float(stats.nct.sf(critical, n - 1, shift)) - POWER

    shift = float(optimize.brentq(missing_power, 0.0, 4 * critical + 10 * math.sqrt(n)))
    return shift * spread / math.sqrt(n)


def replicas_needed(spread: float, difference: float, *, family: int = 1) -> int | None:
    """Return the fewest pairs that show a true difference in 80 % of studies.

    Args:
        spread: Standard deviation of the differences over seeds, above 0.
        difference: The true difference, above 0, in the same unit.
        family: Comparisons in the family.

    Returns:
        None if more than :data:`MOST_REPLICAS` are needed.
    """
    if detectable(spread, MOST_REPLICAS, family=family) > difference:
        return None
    few, enough = 1, MOST_REPLICAS
    while enough - few > 1:
        n = (few + enough) // 2
        few, enough = (
            (few, n) if detectable(spread, n, family=family) <= difference else (n, enough)
        )
    return enough
