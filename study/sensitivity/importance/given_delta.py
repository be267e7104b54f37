"""Borgonovo's δ from given data by SALib: how far a dimension shifts the whole distribution."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from study.sensitivity.importance.axes import is_single
from study.sensitivity.importance.basis import GlobalBasis
from study.sensitivity.importance.classes import class_edges, numpy_seeded
from study.sensitivity.importance.record import Estimator, Measured
from study.sensitivity.importance.resampling import chance_level, permutations, seed_of, to_shares
from study.sensitivity.intervals import CONFIDENCE

RESAMPLES, PERMUTATIONS = 100, 99


def measure(basis: GlobalBasis) -> Measured:
    """Estimate δ: half the area between the metric's density and its density given a dimension.

    0 is independence, 1 certainty; unlike a share of variance it sees a change of shape too, and
    δ of several dimensions do not add up. Estimator and bootstrap are SALib's (``calc_delta``,
    ``bias_reduced_delta``). The value is the estimate from the trials as they are, which is never
    0: SALib 1.6 draws even that from a resample, so that its reduction of the bias by the
    resamples' mean reduces none. How much of δ is bias, the permutation test's level tells.

    References:
        Borgonovo, RESS 92(6), 2007; Plischke, Borgonovo and Smith, EJOR 226, 2013, eq. 26.
    """
    # Densities of a hundred trials are small: threads wait for each other, 20 times as long.
    with threadpool_limits(limits=1, user_api="blas"):
        return _measure(basis)


def _measure(basis: GlobalBasis) -> Measured:
    values = _deltas(basis, basis.y)
    half = _half_widths(basis)
    largest = np.array(
        [_deltas(basis, y).max() for y in permutations(basis, PERMUTATIONS, "given_delta")]
    )
    return Measured(
        shares=to_shares(basis, values, (values - half, values + half), largest),
        level=chance_level(largest),
        interval=f"SALib's, normal, from {RESAMPLES} bootstrap draws of trials",
        chance=f"{PERMUTATIONS} permutations of the values",
    )


def _deltas(basis: GlobalBasis, y: np.ndarray) -> np.ndarray:
    from SALib.analyze import delta

    return np.array(
        [
            0.0 if is_single(axis) else delta.calc_delta(y, _grid(y), x, class_edges(axis, x))
            for (_, axis), x in zip(basis.axes, basis.x.T, strict=True)
        ]
    )


def _half_widths(basis: GlobalBasis) -> np.ndarray:
    from SALib.analyze import delta

    y, half = basis.y, np.zeros(len(basis.axes))
    with numpy_seeded(seed_of(basis, "given_delta")):
        for place, (name, axis) in enumerate(basis.axes):
            x = basis.x[:, place]
            if not is_single(axis):
                edges = class_edges(axis, x)
                # Only 'balanced' uses the edges of bins, and the least size of one.
                _, half[place], _ = delta.bias_reduced_delta(
                    y, _grid(y), x, edges, RESAMPLES, CONFIDENCE, len(y), "raw", (), name, 0
                )
    return half


def _grid(y: np.ndarray) -> np.ndarray:
    return np.linspace(y.min(), y.max(), 100)


GIVEN_DELTA = Estimator(
    title="Borgonovo's δ, from given data",
    question="what shifts the whole distribution",
    explains="(δ)",
    axis="δ",
    factor=1.0,
    designs=("random", "sobol", "tpe"),
    least=lambda basis: max(50, 10 * len(basis.axes)),
    why="10 for each dimension, and 50 for densities within classes",
    takes_conditions=False,
    measure=measure,
)
