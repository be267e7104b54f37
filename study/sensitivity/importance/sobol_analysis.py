"""Sobol indices by SALib from the blocks of Saltelli's design: first order and total."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float

from study.records.errors import ReportError
from study.sensitivity.importance.search_data import SearchData
from study.sensitivity.importance.shares import (
    EstimatedShares,
    ImportanceEstimator,
    chance_level,
    estimator_rng,
    estimator_seed,
    permutations,
    to_shares,
)
from study.sensitivity.intervals import CONFIDENCE

# Of 120 simulated studies of an additive metric in 5 dimensions, SALib's intervals from 16 blocks
# covered the truth in 73 % (without noise) and 85 % (with a quarter of noise), from 32 in 95 % or
# more. From 64 those of second order reach 0.3 to either side, no more than a whole first order.
BLOCKS, BLOCKS_SECOND = 32, 64
MIN_BLOCKS_REASON = (
    f"{BLOCKS} whole blocks: from 16, SALib's intervals cover the truth in 73 % of studies only"
)
RESAMPLES = 1000

INTERVAL_METHOD = f"SALib's, normal, from {RESAMPLES} bootstrap draws of whole blocks"


@lru_cache(maxsize=16)
def sobol_indices(basis: SearchData) -> Any:  # noqa: ANN401 (SALib has no types)
    """Estimate the Sobol indices of a basis by SALib, with its intervals.

    With noise, intervals from 32 blocks or more cover the (noisy) truth in about 95 % of studies;
    without any they cover more, up to 100 %, since SALib's bootstrap draws blocks as if they were
    independent, while Sobol points are spread more evenly.

    Returns:
        SALib's result: ``S1``, ``ST`` and, with second order, ``S2``, each with ``…_conf``.

    Raises:
        ReportError: If the blocks are not Saltelli's.
    """
    from SALib.analyze import sobol

    _require_blocks(basis)
    return sobol.analyze(
        {"num_vars": len(basis.axes), "names": list(basis.dimensions)},
        basis.y,
        calc_second_order=basis.second_order,
        num_resamples=RESAMPLES,
        conf_level=CONFIDENCE,
        seed=estimator_seed(basis, "sobol"),
    )


def split_blocks(
    basis: SearchData, y: Float[np.ndarray, " trial"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the values at the points A and B of each block, and at A with each value of B."""
    from SALib.analyze import sobol

    blocks = basis.n // basis.block
    a, b, a_with_b, _ = sobol.separate_output_values(
        y, len(basis.axes), blocks, basis.second_order
    )
    return a, b, a_with_b


def index_interval(found: Any, index: str) -> tuple[np.ndarray, np.ndarray]:  # noqa: ANN401
    """Give the ends of SALib's intervals of an index."""
    return found[index] - found[f"{index}_conf"], found[index] + found[f"{index}_conf"]


def _require_blocks(basis: SearchData) -> None:
    rows = basis.x.reshape(-1, basis.block, len(basis.axes))
    for place in range(len(basis.axes)):
        expected = rows[:, 0].copy()
        expected[:, place] = rows[:, -1, place]
        if not np.array_equal(rows[:, place + 1], expected):
            raise ReportError(
                f"arm '{basis.arm}': trial {place + 1} of each block of {basis.block} must be the "
                f"first one with the {basis.dimensions[place]} of the last, but is not; these "
                f"trials are not Saltelli's design: search anew with 'design: saltelli'."
            )


SOBOL_PERMUTATIONS = 999


def sobol_first_order(basis: SearchData) -> EstimatedShares:
    """Estimate how much of the variance is gone once a dimension is known: Var(E[y | x]) / Var(y).

    Estimator, interval and bootstrap are SALib's. An estimate may lie below 0 by chance. Replica
    noise is part of the variance, so that shares are of what one sees, not of the noise-free
    metric. The level is the permutation test's: values exchanged among all trials of the design.
    """
    found = sobol_indices(basis)
    largest = np.array(
        [
            _first_order(basis, y).max()
            for y in permutations(basis, SOBOL_PERMUTATIONS, "sobol_first")
        ]
    )
    return EstimatedShares(
        shares=to_shares(basis, found["S1"], index_interval(found, "S1"), largest),
        level=chance_level(largest),
        interval=INTERVAL_METHOD,
        chance=f"{SOBOL_PERMUTATIONS} permutations of the values",
    )


def _first_order(basis: SearchData, y: np.ndarray) -> np.ndarray:
    from SALib.analyze import sobol

    # SALib standardizes before it estimates; the estimate depends on it.
    a, b, a_with_b = split_blocks(basis, (y - y.mean()) / y.std())
    return np.array([sobol.first_order(a, each, b) for each in a_with_b.T])


SOBOL_FIRST = ImportanceEstimator(
    title="Sobol, first order",
    question="what each dimension alone explains of the variance",
    share_of="of the variance",
    axis="Share of the variance [%]",
    factor=100.0,
    samplers=("saltelli",),
    min_trials=lambda basis: BLOCKS * basis.block,
    min_trials_reason=MIN_BLOCKS_REASON,
    supports_conditions=False,
    measure=sobol_first_order,
)


NOISE_DRAWS = 999


def sobol_total_order(basis: SearchData) -> EstimatedShares:
    """Estimate what stays open when all but a dimension are known: E[Var(y | rest)] / Var(y).

    Estimator, interval and bootstrap are SALib's. Two trials that differ in one dimension also
    differ by the noise of their replicas, so that the index of a dimension without any effect is
    the noise's share of the variance, not 0; intervals do not know that. Therefore the level of
    chance is what noise alone would give: normal noise of the variance found between replicas,
    in the same design. (Exchanging values among trials, as for other estimators, would make
    every total index 1.) Without a second replica the noise is unknown, and there is no level.
    """
    found = sobol_indices(basis)
    largest = None if basis.noise is None else _noise_only_indices(basis, basis.noise)
    return EstimatedShares(
        shares=to_shares(basis, found["ST"], index_interval(found, "ST"), largest),
        level=None if largest is None else chance_level(largest),
        interval=INTERVAL_METHOD,
        chance="" if largest is None else f"noise of the replicas alone, {NOISE_DRAWS} draws",
        notes=(_noise_note(basis),),
    )


def _noise_only_indices(basis: SearchData, noise: float) -> Float[np.ndarray, " draw"]:
    """Draw the largest total index that noise of the replicas alone would give."""
    a, b, _ = split_blocks(basis, basis.y)
    # Of the variance of A and B, by which SALib divides.
    scale = noise * basis.y.var(ddof=1) / np.var(np.concatenate((a, b)))
    rng = estimator_rng(basis, "sobol_total")
    drawn = rng.normal(size=(NOISE_DRAWS, len(a), len(basis.axes) + 1))
    indices = 0.5 * ((drawn[:, :, :1] - drawn[:, :, 1:]) ** 2).mean(axis=1)
    largest: Float[np.ndarray, ...] = scale * indices.max(axis=1)
    return largest


def _noise_note(basis: SearchData) -> str:
    if basis.noise is None:
        return (
            "Total indices hold the noise of the replicas as well, which is unknown with one "
            "replica per trial: no level of chance can be given; search with 2 replicas or more."
        )
    return (
        f"Noise of the replicas is {min(1.0, basis.noise):.0%} of the variance of "
        f"{basis.metric} between trials; every total index is larger by about that much."
    )


SOBOL_TOTAL = ImportanceEstimator(
    title="Sobol, total",
    question="what each dimension explains of the variance with all its interactions",
    share_of="of the variance, interactions included",
    axis="Share of the variance, with interactions [%]",
    factor=100.0,
    samplers=("saltelli",),
    min_trials=lambda basis: BLOCKS * basis.block,
    min_trials_reason=MIN_BLOCKS_REASON,
    supports_conditions=False,
    measure=sobol_total_order,
)
