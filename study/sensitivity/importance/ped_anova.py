"""PED-ANOVA by Optuna: which dimensions matter to be among the best tenth of the trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from study.records.trial_table import ParamValue
from study.sensitivity.importance.search_data import SearchData
from study.sensitivity.importance.shares import (
    EstimatedShares,
    ImportanceEstimator,
    bootstrap,
    chance_level,
    percentile_interval,
    permutations,
    to_shares,
)

TOP_QUANTILE = 0.1
# 5 s on a core for 128 trials and 5 dimensions.
DRAWS, PERMUTATIONS = 100, 99


def ped_anova_importance(basis: SearchData) -> EstimatedShares:
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
    from study.sensitivity.importance.optuna_importance import trial_params

    trials = trial_params(basis)
    values = _shares(basis, trials, basis.y)
    resampled = [
        _shares(basis, [trials[place] for place in places], basis.y[places])
        for places in bootstrap(basis, DRAWS, "ped_anova")
    ]
    permuted = [_shares(basis, trials, y) for y in permutations(basis, PERMUTATIONS, "ped_anova")]
    largest = np.array(permuted).max(axis=1)
    return EstimatedShares(
        shares=to_shares(basis, values, percentile_interval(values, np.array(resampled)), largest),
        level=chance_level(largest),
        interval=f"percentile bootstrap over trials, {DRAWS} draws",
        chance=f"{PERMUTATIONS} permutations of the values",
    )


def top_fraction(basis: SearchData, y: Float[np.ndarray, " trial"]) -> float:
    """Give the share q of trials that count among the best tenth, ties with its last included."""
    loss = -y if basis.direction == "maximize" else y
    cutoff = np.sort(loss)[math.ceil(TOP_QUANTILE * len(loss)) - 1]
    return float((loss <= cutoff).mean())


def _shares(
    basis: SearchData,
    trials: Sequence[Mapping[str, ParamValue]],
    y: Float[np.ndarray, " trial"],
) -> Float[np.ndarray, " dimension"]:
    from study.sensitivity.importance.optuna_importance import build_study, ped_anova_variances

    q = top_fraction(basis, y)
    if q == 1.0:
        return np.zeros(len(basis.axes))
    found = ped_anova_variances(build_study(basis, trials, y), TOP_QUANTILE)
    # Optuna leaves a dimension out that has a value in none of the trials drawn.
    variances = np.array([found.get(name, 0.0) for name in basis.dimensions])
    # Smoothed densities may give a little more than all there is.
    return np.minimum(variances / (q * (1 - q)), 1.0)


PED_ANOVA = ImportanceEstimator(
    title="PED-ANOVA",
    question="what matters to be among the best tenth",
    share_of="of who is among the best tenth",
    axis="Share of being among the best tenth [%]",
    factor=100.0,
    samplers=(),
    min_trials=lambda basis: max(50, 10 * len(basis.axes)),
    min_trials_reason="10 for each dimension, and 50 for 5 among the best tenth",
    supports_conditions=True,
    measure=ped_anova_importance,
)
