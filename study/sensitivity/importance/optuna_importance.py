"""A search's trials as an Optuna study in memory: the one analysis that speaks Optuna."""

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


def trial_params(basis: SearchData) -> tuple[Mapping[str, ParamValue], ...]:
    """Give the params of each trial, without dimensions that have no value in it."""
    return tuple(
        {
            name: decode_value(axis, number)
            for (name, axis), number in zip(basis.axes, point, strict=True)
            if not math.isnan(number)
        }
        for point in basis.points
    )


def build_study(
    basis: SearchData, trials: Sequence[Mapping[str, ParamValue]], y: Float[ndarray, " trial"]
) -> optuna.Study:
    """Make a study in memory of the basis's axes and direction that holds trials and values."""
    distributions = {name: to_distribution(axis) for name, axis in basis.axes}
    is_maximized = basis.direction == "maximize"
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
    """Evaluate PED-ANOVA: variance over each dimension of the chance to be among the best.

    Without a target the evaluator follows the study's direction; a target it would minimize.
    """
    return PedAnovaImportanceEvaluator(target_quantile=best_share).evaluate(study)
