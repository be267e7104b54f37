"""Total Sobol indices by SALib: what each dimension explains with all its interactions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from study.sensitivity.importance.basis import GlobalBasis
from study.sensitivity.importance.record import Estimator, Measured
from study.sensitivity.importance.resampling import chance_level, stream, to_shares
from study.sensitivity.importance.saltelli import (
    BLOCKS,
    INTERVAL,
    WHY,
    ends_of,
    separated,
    sobol_indices,
)

NOISE_DRAWS = 999


def measure(basis: GlobalBasis) -> Measured:
    """Estimate what stays open when all but a dimension are known: E[Var(y | rest)] / Var(y).

    Estimator, interval and bootstrap are SALib's. Two trials that differ in one dimension also
    differ by the noise of their replicas, so that the index of a dimension without any effect is
    the noise's share of the variance, not 0; intervals do not know that. Therefore the level of
    chance is what noise alone would give: normal noise of the variance found between replicas,
    in the same design. (Exchanging values among trials, as for other estimators, would make
    every total index 1.) Without a second replica the noise is unknown, and there is no level.
    """
    found = sobol_indices(basis)
    largest = None if basis.noise is None else _noise_alone(basis, basis.noise)
    return Measured(
        shares=to_shares(basis, found["ST"], ends_of(found, "ST"), largest),
        level=None if largest is None else chance_level(largest),
        interval=INTERVAL,
        chance="" if largest is None else f"noise of the replicas alone, {NOISE_DRAWS} draws",
        notes=(_note(basis),),
    )


def _noise_alone(basis: GlobalBasis, noise: float) -> Float[np.ndarray, " draw"]:
    """Draw the largest total index that noise of the replicas alone would give."""
    a, b, _ = separated(basis, basis.y)
    # Of the variance of A and B, by which SALib divides.
    scale = noise * basis.y.var(ddof=1) / np.var(np.concatenate((a, b)))
    rng = stream(basis, "sobol_total")
    drawn = rng.normal(size=(NOISE_DRAWS, len(a), len(basis.axes) + 1))
    indices = 0.5 * ((drawn[:, :, :1] - drawn[:, :, 1:]) ** 2).mean(axis=1)
    largest: Float[np.ndarray, ...] = scale * indices.max(axis=1)
    return largest


def _note(basis: GlobalBasis) -> str:
    if basis.noise is None:
        return (
            "Total indices hold the noise of the replicas as well, which is unknown with one "
            "replica per trial: no level of chance can be given; search with 2 replicas or more."
        )
    return (
        f"Noise of the replicas is {min(1.0, basis.noise):.0%} of the variance of "
        f"{basis.metric} between trials; every total index is larger by about that much."
    )


SOBOL_TOTAL = Estimator(
    title="Sobol, total",
    question="what each dimension explains of the variance with all its interactions",
    explains="of the variance, interactions included",
    axis="Share of the variance, with interactions [%]",
    factor=100.0,
    designs=("saltelli",),
    least=lambda basis: BLOCKS * basis.block,
    why=WHY,
    takes_conditions=False,
    measure=measure,
)
