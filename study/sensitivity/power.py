"""The power of paired comparisons: what a number of replicas could have shown."""

from __future__ import annotations

import math

from scipy import optimize, stats

from study.sensitivity.intervals import CONFIDENCE, PairedDifference

POWER = 0.8
"""Share of studies in which a detectable difference is shown."""


def detectable_difference(difference: PairedDifference, *, family: int = 1) -> float | None:
    """Return the smallest true difference that a study of this n and spread shows.

    It is shown in 80 % of studies by the paired t test, two-sided at 5 % over the family (the
    first step of Holm's correction, the strictest). The spread is that of the differences at
    hand, so that the value is an estimate itself.

    Args:
        difference: The comparison, for its n and the standard deviation of its differences.
        family: Comparisons in the family.

    Returns:
        A difference ≥ 0 in the unit of the values; None where all differences are equal, so
        that there is no spread to estimate from.

    References:
        Cohen, Statistical Power Analysis, 1988, chapter 2: the noncentral t distribution.
    """
    n = difference.n
    half = difference.interval.width / 2
    if half == 0:
        return None
    error = half / float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1))
    critical = float(stats.t.isf((1 - CONFIDENCE) / 2 / family, n - 1))

    def missing_power(shift: float) -> float:
        # The other tail is below 1e-4 where the power is near 80 %.
        return float(stats.nct.sf(critical, n - 1, shift)) - POWER

    return error * float(optimize.brentq(missing_power, 0.0, 4 * critical + 10 * math.sqrt(n)))
