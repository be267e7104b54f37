"""PED-ANOVA by Optuna: which dimensions matter to be among the best tenth of the trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from study.sensitivity.importance.basis import GlobalBasis
from study.sensitivity.importance.record import Estimator, Measured
from study.sensitivity.importance.resampling import (
    bootstrap,
    chance_level,
    percentile_ends,
    permutations,
    to_shares,
)
from study.trial_table import ParamValue

BEST_SHARE = 0.1
# 5 s on a core for 128 trials and 5 dimensions.
DRAWS, PERMUTATIONS = 100, 99


def measure(basis: GlobalBasis) -> Measured:
    """Measure how much each dimension alone tells who is among the best tenth of the trials.

    Optuna's evaluator gives the variance, over a dimension, of the chance to be among the best
    tenth. It is divided here by the variance of being among them at all, q·(1 - q), where q is
    their share of the trials: 0 is a dimension that tells nothing, 1 one that tells all. Trials
    as good as the last of the best tenth count among them, so that q may be above a tenth.

    The interval is a percentile bootstrap over trials (whole blocks of Saltelli's design): it
    covers how the share varies from one set of trials to another, not the bias of the smoothed
    densities behind it; drawing trials twice makes the best ones look more alike, so that it
    reaches further up than down. The level is the permutation test's over all dimensions together.

    References:
        Watanabe, Bansal and Hutter, IJCAI 2023.
    """
    from study.sensitivity.importance.optuna_study import params_of

    trials = params_of(basis)
    values = _shares(basis, trials, basis.y)
    drawn = [
        _shares(basis, [trials[place] for place in places], basis.y[places])
        for places in bootstrap(basis, DRAWS, "ped_anova")
    ]
    by_chance = [_shares(basis, trials, y) for y in permutations(basis, PERMUTATIONS, "ped_anova")]
    largest = np.array(by_chance).max(axis=1)
    return Measured(
        shares=to_shares(basis, values, percentile_ends(values, np.array(drawn)), largest),
        level=chance_level(largest),
        interval=f"percentile bootstrap over trials, {DRAWS} draws",
        chance=f"{PERMUTATIONS} permutations of the values",
    )


def share_among_best(basis: GlobalBasis, y: Float[np.ndarray, " trial"]) -> float:
    """Give the share q of trials that count among the best tenth, ties with its last included."""
    loss = -y if basis.direction == "maximise" else y
    cutoff = np.sort(loss)[math.ceil(BEST_SHARE * len(loss)) - 1]
    return float((loss <= cutoff).mean())


def _shares(
    basis: GlobalBasis,
    trials: Sequence[Mapping[str, ParamValue]],
    y: Float[np.ndarray, " trial"],
) -> Float[np.ndarray, " dimension"]:
    from study.sensitivity.importance.optuna_study import ped_anova_variances, rebuilt_study

    q = share_among_best(basis, y)
    if q == 1.0:
        return np.zeros(len(basis.axes))
    found = ped_anova_variances(rebuilt_study(basis, trials, y), BEST_SHARE)
    # Optuna leaves a dimension out that has a value in none of the trials drawn.
    variances = np.array([found.get(name, 0.0) for name in basis.dimensions])
    # Smoothed densities may give a little more than all there is.
    return np.minimum(variances / (q * (1 - q)), 1.0)


PED_ANOVA = Estimator(
    title="PED-ANOVA",
    question="what matters to be among the best tenth",
    explains="of who is among the best tenth",
    axis="Share of being among the best tenth [%]",
    factor=100.0,
    designs=(),
    least=lambda basis: max(50, 10 * len(basis.axes)),
    why="10 for each dimension, and 50 for 5 among the best tenth",
    takes_conditions=True,
    measure=measure,
)
