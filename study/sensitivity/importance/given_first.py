"""First-order indices from given data by SALib: for trials of any design without blocks."""

from __future__ import annotations

import numpy as np

from study.sensitivity.importance.axes import is_single
from study.sensitivity.importance.basis import GlobalBasis
from study.sensitivity.importance.classes import class_edges, numpy_seeded
from study.sensitivity.importance.record import Estimator, Measured
from study.sensitivity.importance.resampling import chance_level, permutations, seed_of, to_shares
from study.sensitivity.intervals import CONFIDENCE

RESAMPLES, PERMUTATIONS = 200, 999


def measure(basis: GlobalBasis) -> Measured:
    """Estimate Var(E[y | x]) / Var(y) by the means of classes of trials along each axis.

    Estimator and bootstrap are SALib's (``sobol_first``, ``sobol_first_conf``), the interval is
    its normal one. SALib's ``analyze`` computes the index itself from one resample of the
    trials, which only adds noise; here it is from the trials as they are. A dimension without
    any effect has about (classes - 1) / trials; the permutation test's level tells how much that
    is. The effect within a class is not seen, so that a strong wave along an axis is understated.

    References:
        Plischke, Borgonovo and Smith, EJOR 226, 2013.
    """
    from SALib.analyze import delta

    columns = basis.x.T
    edges = [class_edges(axis, x) for (_, axis), x in zip(basis.axes, columns, strict=True)]
    is_varied = np.array([not is_single(axis) for _, axis in basis.axes])

    def shares(y: np.ndarray) -> np.ndarray:
        found = [delta.sobol_first(y, x, m) for x, m in zip(columns, edges, strict=True)]
        return np.where(is_varied, found, 0.0)

    with numpy_seeded(seed_of(basis, "given_first")):
        reach = [
            delta.sobol_first_conf(basis.y, x, m, RESAMPLES, CONFIDENCE, basis.n)
            for x, m in zip(columns, edges, strict=True)
        ]
    values, half = shares(basis.y), np.where(is_varied, reach, 0.0)
    largest = np.array([shares(y).max() for y in permutations(basis, PERMUTATIONS, "given_first")])
    return Measured(
        shares=to_shares(basis, values, (values - half, values + half), largest),
        level=chance_level(largest),
        interval=f"SALib's, normal, from {RESAMPLES} bootstrap draws of trials",
        chance=f"{PERMUTATIONS} permutations of the values",
    )


GIVEN_FIRST = Estimator(
    title="First order, from given data",
    question="what each dimension alone explains of the variance",
    explains="of the variance",
    axis="Share of the variance [%]",
    factor=100.0,
    designs=("random", "sobol", "tpe"),
    least=lambda basis: max(50, 10 * len(basis.axes)),
    why="10 for each dimension, and 50 for classes of more than 10",
    takes_conditions=False,
    measure=measure,
)
