"""Sensitivity indices from given data by SALib: first order, and Borgonovo's δ."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float
from threadpoolctl import threadpool_limits

from search_spaces import CategoricalDimension, Dimension
from study.sensitivity.importance.search_data import SearchData, is_constant
from study.sensitivity.importance.shares import (
    EstimatedShares,
    ImportanceEstimator,
    bootstrap,
    estimator_seed,
    min_per_dimension,
    norm_quantile,
    permutations,
)
from study.sensitivity.intervals import CONFIDENCE


def bin_edges(axis: Dimension, x: Float[np.ndarray, " trial"]) -> Float[np.ndarray, " edge"]:
    """Return the ranks that separate the classes of trials.

    Classes of equal size along an axis, as many as SALib takes (Plischke et al., 2013); of
    choices, and of axes with fewer values than that, one class per value.
    """
    _, counts = np.unique(x, return_counts=True)
    classes = _n_bins(len(x))
    if isinstance(axis, CategoricalDimension) or len(counts) <= classes:
        return np.concatenate(([0.0], np.cumsum(counts)))
    return np.linspace(0, len(x), classes + 1)


@contextmanager
def numpy_seeded(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator, which SALib uses, and restore its state."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)


def _n_bins(trials: int) -> int:
    # As in SALib's analyze, which does not export it.
    exponent = 2.0 / (7.0 + np.tanh((1500.0 - trials) / 500.0))
    return int(np.round(min(int(np.ceil(trials**exponent)), 48)))


FIRST_ORDER_RESAMPLES, FIRST_ORDER_PERMUTATIONS = 200, 999


def given_first_order(data: SearchData) -> EstimatedShares:
    """Estimate Var(E[y | x]) / Var(y) by the means of classes of trials along each axis.

    Estimator and normal interval are SALib's (``sobol_first``, ``sobol_first_conf``), with a
    bootstrap of whole blocks where the design has them. SALib's ``analyze`` computes the index
    from one resample of the trials, which only adds noise; here it is computed from the trials
    themselves. The index of a dimension without effect is about (classes - 1) / trials; the
    permutation test's level shows it. Effects within a class are not measured, so that a strong
    oscillation along an axis is understated.

    References:
        Plischke, Borgonovo and Smith, EJOR 226, 2013.
    """
    from SALib.analyze import delta

    edges = [bin_edges(axis, x) for (_, axis), x in zip(data.axes, data.x.T, strict=True)]
    is_varied = np.array([not is_constant(axis) for _, axis in data.axes])

    def shares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        found = [delta.sobol_first(y, column, m) for column, m in zip(x.T, edges, strict=True)]
        return np.where(is_varied, found, 0.0)

    draws = bootstrap(data, FIRST_ORDER_RESAMPLES, "given_first")
    resampled = np.array([shares(data.x[places], data.y[places]) for places in draws])
    values, half = shares(data.x, data.y), norm_quantile() * resampled.std(axis=0, ddof=1)
    permuted = permutations(data, FIRST_ORDER_PERMUTATIONS, "given_first")
    whole = "whole blocks" if data.block > 1 else "trials"
    return EstimatedShares(
        values=values,
        ends=(values - half, values + half),
        max_shares=np.array([shares(data.x, y).max() for y in permuted]),
        interval=f"SALib's, normal, from {FIRST_ORDER_RESAMPLES} bootstrap draws of {whole}",
        chance=f"{FIRST_ORDER_PERMUTATIONS} permutations of {whole}",
    )


GIVEN_FIRST = ImportanceEstimator(
    title="First order, from given data",
    question="what each dimension alone explains of the variance",
    samplers=("random", "sobol", "tpe"),
    min_trials=min_per_dimension(50),
    min_trials_reason="10 for each dimension, and 50 for classes of more than 10",
    measure=given_first_order,
)


DELTA_RESAMPLES, DELTA_PERMUTATIONS = 100, 99


# Densities of a hundred trials are small: with threads it takes 20 times as long.
@threadpool_limits.wrap(limits=1, user_api="blas")  # type: ignore[untyped-decorator]
def borgonovo_delta(data: SearchData) -> EstimatedShares:
    """Estimate δ: half the area between the metric's density and its density given a dimension.

    0 is independence, 1 certainty; unlike a share of variance it includes a change of shape, and
    δ of several dimensions do not add up. Estimator and bootstrap are SALib's (``calc_delta``,
    ``bias_reduced_delta``). The value is the estimate from the trials themselves, which is never
    0: SALib 1.6 computes it from a resample, so that its reduction of the bias by the resamples'
    mean has no effect. The permutation test's level shows how much of δ is bias.

    References:
        Borgonovo, RESS 92(6), 2007; Plischke, Borgonovo and Smith, EJOR 226, 2013, eq. 26.
    """
    values, half = _delta_indices(data, data.y), _delta_half_widths(data)
    permuted = permutations(data, DELTA_PERMUTATIONS, "given_delta")
    return EstimatedShares(
        values=values,
        ends=(values - half, values + half),
        max_shares=np.array([_delta_indices(data, y).max() for y in permuted]),
        interval=f"SALib's, normal, from {DELTA_RESAMPLES} bootstrap draws of trials",
        chance=f"{DELTA_PERMUTATIONS} permutations of the values",
    )


def _delta_indices(data: SearchData, y: np.ndarray) -> np.ndarray:
    from SALib.analyze import delta

    return np.array(
        [
            0.0
            if is_constant(axis)
            else delta.calc_delta(y, _density_grid(y), x, bin_edges(axis, x))
            for (_, axis), x in zip(data.axes, data.x.T, strict=True)
        ]
    )


def _delta_half_widths(data: SearchData) -> np.ndarray:
    from SALib.analyze import delta

    y, half = data.y, np.zeros(len(data.axes))
    with numpy_seeded(estimator_seed(data, "given_delta")):
        for place, (name, axis) in enumerate(data.axes):
            x = data.x[:, place]
            if not is_constant(axis):
                edges = bin_edges(axis, x)
                # The last four arguments: the method, and what 'balanced' alone uses.
                of = (DELTA_RESAMPLES, CONFIDENCE, len(y), "raw", (), name, 0)
                _, half[place], _ = delta.bias_reduced_delta(y, _density_grid(y), x, edges, *of)
    return half


def _density_grid(y: np.ndarray) -> np.ndarray:
    return np.linspace(y.min(), y.max(), 100)


GIVEN_DELTA = ImportanceEstimator(
    title="Borgonovo's δ, from given data",
    question="what shifts the whole distribution",
    share_of="(δ)",
    axis="δ",
    factor=1.0,
    samplers=("random", "sobol", "tpe"),
    min_trials=min_per_dimension(50),
    min_trials_reason="10 for each dimension, and 50 for densities within classes",
    measure=borgonovo_delta,
)
