"""Optuna's distributions and samplers of a search space; the only file that imports Optuna."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search_spaces.designs import Design, design_point
from search_spaces.dimensions import (
    CategoricalDimension,
    Dimension,
    FloatDimension,
    IntDimension,
    ParamValue,
)
from search_spaces.space import Space

SamplerName: TypeAlias = Literal["tpe", "random"]


def suggest_params(trial: optuna.Trial, space: Space) -> None:
    """Suggest all parameters of a trial, or the missing ones of an interrupted trial.

    The sampler draws existing ones again, so that the others are those of an uninterrupted trial.
    """
    for name, axis in space.dimensions.items():
        if not space.is_active(name, trial.params):
            continue
        within = to_distribution(axis)
        is_drawn_alone = not within.single() and name not in trial.relative_params
        if name in trial.params and is_drawn_alone:
            frozen = trial.study.trials[trial.number]
            trial.study.sampler.sample_independent(trial.study, frozen, name, within)
        if isinstance(axis, CategoricalDimension):
            trial.suggest_categorical(name, axis.choices)
        elif isinstance(axis, IntDimension):
            trial.suggest_int(name, axis.low, axis.high, log=axis.log)
        else:
            trial.suggest_float(name, axis.low, axis.high, log=axis.log)


def to_distribution(axis: Dimension) -> BaseDistribution:
    """Return the distribution of an axis."""
    if isinstance(axis, IntDimension):
        return IntDistribution(axis.low, axis.high, log=axis.log)
    if isinstance(axis, FloatDimension):
        return FloatDistribution(axis.low, axis.high, log=axis.log)
    return CategoricalDistribution(axis.choices)


def fixed_distributions(
    params: Mapping[str, ParamValue], dimensions: Mapping[str, Dimension]
) -> dict[str, BaseDistribution]:
    """Return distributions of an enqueued point.

    Numbers get a distribution of that value alone; choices get their dimension's, which Optuna
    requires to be equal in all trials.
    """

    def fixed(value: ParamValue, axis: Dimension | None) -> BaseDistribution:
        if isinstance(axis, CategoricalDimension) and value in axis:
            return CategoricalDistribution(axis.choices)
        if type(value) is int:
            return IntDistribution(value, value)
        if type(value) is float:
            return FloatDistribution(value, value)
        return CategoricalDistribution((value,))

    return {name: fixed(value, dimensions.get(name)) for name, value in params.items()}


def make_sampler(
    name: SamplerName, seed: int, n_startup_trials: int
) -> optuna.samplers.BaseSampler:
    """Return a sampler; TPE draws its first ``n_startup_trials`` at random."""
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=n_startup_trials)


class DesignSampler(optuna.samplers.BaseSampler):
    """Sampler of a design: trial i always gets point i."""

    def __init__(self, design: Design, space: Space, seed: int) -> None:
        """Sample a design of a space; ``seed`` is the same for all trials."""
        self._design = design
        self._space = space
        self._seed = seed

    def infer_relative_search_space(
        self,
        study: optuna.Study,  # noqa: ARG002 (Optuna's, as below)
        trial: optuna.trial.FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """Return the whole space: all values of a point are proposed together."""
        return {name: to_distribution(axis) for name, axis in self._space.dimensions.items()}

    def sample_relative(
        self,
        study: optuna.Study,  # noqa: ARG002 (Optuna's)
        trial: optuna.trial.FrozenTrial,
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """Return the point of a trial's number."""
        return design_point(self._design, self._space, self._seed, trial.number)

    def sample_independent(
        self,
        study: optuna.Study,  # noqa: ARG002 (Optuna's)
        trial: optuna.trial.FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,  # noqa: ARG002
    ) -> Any:  # noqa: ANN401
        """Raise an error: dimensions that a design does not propose are inactive in that trial."""
        raise AssertionError(f"trial {trial.number} of a design has no {param_name}")
