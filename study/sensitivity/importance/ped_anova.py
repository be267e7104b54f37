"""PED-ANOVA by Optuna: the importance of a dimension for the best tenth of the trials."""

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
    min_per_dimension,
    percentile_interval,
    permutations,
)

TOP_QUANTILE = 0.1
# 5 s on a core for 128 trials and 5 dimensions.
DRAWS, PERMUTATIONS = 100, 99


def ped_anova_importance(data: SearchData) -> EstimatedShares:
    """Estimate how well each dimension alone predicts membership of the best tenth of the trials.

    Optuna's evaluator returns the variance, over a dimension, of the probability to be among the
    best tenth. It is divided here by the variance of that membership, q·(1 - q), where q is the
    share of the best trials: a dimension with 0 predicts nothing, one with 1 everything. Trials
    that tie with the last of the best tenth count among them, so that q may be above a tenth.

    The interval is a percentile bootstrap over trials (whole blocks of Saltelli's design): it
    covers the variation between sets of trials, not the bias of the smoothed densities. Repeated
    trials make the best ones more similar, so that it reaches further up than down. The level is
    that of the permutation test over all dimensions together.

    References:
        Watanabe, Bansal and Hutter, IJCAI 2023.
    """
    from study.sensitivity.importance.optuna_importance import trial_params

    trials = trial_params(data)
    values = _shares(data, trials, data.y)
    resampled = [
        _shares(data, [trials[place] for place in places], data.y[places])
        for places in bootstrap(data, DRAWS, "ped_anova")
    ]
    permuted = [_shares(data, trials, y) for y in permutations(data, PERMUTATIONS, "ped_anova")]
    return EstimatedShares(
        values=values,
        ends=percentile_interval(values, np.array(resampled)),
        max_shares=np.array(permuted).max(axis=1),
        interval=f"percentile bootstrap over trials, {DRAWS} draws",
        chance=f"{PERMUTATIONS} permutations of the values",
    )


def top_fraction(data: SearchData, y: Float[np.ndarray, " trial"]) -> float:
    """Return the share q of trials among the best tenth, including ties with its last."""
    loss = -y if data.direction == "maximize" else y
    cutoff = np.sort(loss)[math.ceil(TOP_QUANTILE * len(loss)) - 1]
    return float((loss <= cutoff).mean())


def _shares(
    data: SearchData,
    trials: Sequence[Mapping[str, ParamValue]],
    y: Float[np.ndarray, " trial"],
) -> Float[np.ndarray, " dimension"]:
    from study.sensitivity.importance.optuna_importance import build_study, ped_anova_variances

    q = top_fraction(data, y)
    if q == 1.0:
        return np.zeros(len(data.axes))
    found = ped_anova_variances(build_study(data, trials, y), TOP_QUANTILE)
    # Optuna omits a dimension that is inactive in all drawn trials.
    variances = np.array([found.get(name, 0.0) for name in data.dimensions])
    # Smoothed densities may give slightly more than 1.
    return np.minimum(variances / (q * (1 - q)), 1.0)


PED_ANOVA = ImportanceEstimator(
    title="PED-ANOVA",
    question="what predicts the best tenth of the trials",
    share_of="of the membership of the best tenth",
    axis="Share of membership of the best tenth [%]",
    min_trials=min_per_dimension(50),
    min_trials_reason="10 for each dimension, and 50 for 5 among the best tenth",
    supports_conditions=True,
    measure=ped_anova_importance,
)
