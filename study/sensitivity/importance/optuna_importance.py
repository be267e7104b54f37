"""Search data as an in-memory Optuna study: the only analysis that imports Optuna."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence

import optuna
from jaxtyping import Float
from numpy import ndarray
from optuna.importance import PedAnovaImportanceEvaluator

from search_spaces.optuna_sampler import to_distribution
from study.records.trial_table import ParamValue
from study.sensitivity.importance.search_data import SearchData, decode_value

logging.getLogger("optuna").setLevel(logging.WARNING)


def trial_params(data: SearchData) -> tuple[Mapping[str, ParamValue], ...]:
    """Return the params of each trial, without inactive dimensions."""
    return tuple(
        {
            name: decode_value(axis, number)
            for (name, axis), number in zip(data.axes, point, strict=True)
            if not math.isnan(number)
        }
        for point in data.points
    )


def build_study(
    data: SearchData, trials: Sequence[Mapping[str, ParamValue]], y: Float[ndarray, " trial"]
) -> optuna.Study:
    """Build an in-memory study of the data's dimensions and direction with trials and values."""
    distributions = {name: to_distribution(axis) for name, axis in data.axes}
    is_maximized = data.direction == "maximize"
    study = optuna.create_study(direction="maximize" if is_maximized else "minimize")
    study.add_trials(
        [
            optuna.trial.create_trial(
                params=dict(params),
                distributions={name: distributions[name] for name in params},
                value=float(value),
            )
            for params, value in zip(trials, y, strict=True)
        ]
    )
    return study


def ped_anova_variances(study: optuna.Study, best_share: float) -> dict[str, float]:
    """Compute PED-ANOVA: variance over each dimension of the probability to be among the best.

    No target is passed: the evaluator would minimize it instead of using the study's direction.
    """
    return PedAnovaImportanceEvaluator(target_quantile=best_share).evaluate(study)
