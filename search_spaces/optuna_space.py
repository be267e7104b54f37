"""Search spaces in Optuna's words: distributions and samplers. The one file that speaks Optuna."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search_spaces.dimensions import Dimension, FloatDimension, IntDimension, ParamValue

SamplerName: TypeAlias = Literal["tpe", "random"]


def distributions(dimensions: Mapping[str, Dimension]) -> dict[str, BaseDistribution]:
    """Say each dimension in Optuna's words."""
    return {name: _distribution(axis) for name, axis in dimensions.items()}


def suggest(trial: optuna.Trial, dimensions: Mapping[str, Dimension]) -> None:
    """Give a trial that was asked for in part the parameters that it lacks."""
    for name, axis in dimensions.items():
        if isinstance(axis, IntDimension):
            trial.suggest_int(name, axis.low, axis.high, log=axis.log)
        elif isinstance(axis, FloatDimension):
            trial.suggest_float(name, axis.low, axis.high, log=axis.log)
        else:
            trial.suggest_categorical(name, axis.choices)


def point(params: Mapping[str, ParamValue]) -> dict[str, BaseDistribution]:
    """Make distributions that hold exactly one point, so that asking with them gives it."""
    return {name: _single(value) for name, value in params.items()}


def sampler(name: SamplerName, seed: int, n_startup_trials: int) -> optuna.samplers.BaseSampler:
    """Make a sampler.

    Args:
        name: ``tpe`` or ``random``.
        seed: Seed of its random draws.
        n_startup_trials: Trials that TPE draws at random before it models anything.
    """
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=n_startup_trials)


def _distribution(axis: Dimension) -> BaseDistribution:
    if isinstance(axis, IntDimension):
        return IntDistribution(axis.low, axis.high, log=axis.log)
    if isinstance(axis, FloatDimension):
        return FloatDistribution(axis.low, axis.high, log=axis.log)
    return CategoricalDistribution(axis.choices)


def _single(value: ParamValue) -> BaseDistribution:
    if type(value) is int:
        return IntDistribution(value, value)
    if type(value) is float:
        return FloatDistribution(value, value)
    return CategoricalDistribution((value,))
