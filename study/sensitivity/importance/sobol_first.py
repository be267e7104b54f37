"""Sobol indices of first order by SALib: what each dimension alone explains of the variance."""

from __future__ import annotations

import numpy as np

from study.sensitivity.importance.basis import GlobalBasis
from study.sensitivity.importance.record import Estimator, Measured
from study.sensitivity.importance.resampling import chance_level, permutations, to_shares
from study.sensitivity.importance.saltelli import (
    BLOCKS,
    INTERVAL,
    WHY,
    ends_of,
    separated,
    sobol_indices,
)

PERMUTATIONS = 999


def measure(basis: GlobalBasis) -> Measured:
    """Estimate how much of the variance is gone once a dimension is known: Var(E[y | x]) / Var(y).

    Estimator, interval and bootstrap are SALib's. An estimate may lie below 0 by chance. Replica
    noise is part of the variance, so that shares are of what one sees, not of the noise-free
    metric. The level is the permutation test's: values exchanged among all trials of the design.
    """
    found = sobol_indices(basis)
    largest = np.array(
        [_first_order(basis, y).max() for y in permutations(basis, PERMUTATIONS, "sobol_first")]
    )
    return Measured(
        shares=to_shares(basis, found["S1"], ends_of(found, "S1"), largest),
        level=chance_level(largest),
        interval=INTERVAL,
        chance=f"{PERMUTATIONS} permutations of the values",
    )


def _first_order(basis: GlobalBasis, y: np.ndarray) -> np.ndarray:
    from SALib.analyze import sobol

    # SALib standardises before it estimates; the estimate depends on it.
    a, b, a_with_b = separated(basis, (y - y.mean()) / y.std())
    return np.array([sobol.first_order(a, each, b) for each in a_with_b.T])


SOBOL_FIRST = Estimator(
    title="Sobol, first order",
    question="what each dimension alone explains of the variance",
    explains="of the variance",
    axis="Share of the variance [%]",
    factor=100.0,
    designs=("saltelli",),
    least=lambda basis: BLOCKS * basis.block,
    why=WHY,
    takes_conditions=False,
    measure=measure,
)
