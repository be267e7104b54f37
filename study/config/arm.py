"""One arm of a study: dataset × model × method, and how its space is searched."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from search_spaces import (
    CategoricalDimension,
    Dimension,
    FloatDimension,
    IntDimension,
    Limits,
    ParamValue,
    Rule,
    Space,
    SpaceError,
    check_values,
    sweep,
    unique,
)
from study.config.parameters import arm_rules, dataset_limits
from study.config.schema import Replicas, SearchConfig, Sensitivity
from trainables.config import EvaluationConfig, TrainingConfig, TrialConfig
from trainables.datasets import DatasetConfig
from trainables.decoding import decode, encode
from trainables.errors import ConfigError
from trainables.methods import MethodConfig
from trainables.models import ModelConfig
from trainables.seeding import derive_seed

T = TypeVar("T")

_SWEEP_POINTS = 7
_KINDS = {int: "integers", float: "real numbers", str: "texts", bool: "true and false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """An arm with its defaults filled in and its space resolved.

    Attributes:
        name: Unique in the study, and fit for a folder.
        dataset: Data and splits.
        model: Architecture.
        method: Method with its fixed settings.
        training: Budget and optimizer.
        replicas: Seeds per configuration.
        search: Sampler and budget; its trials are 0 in effect if the space is empty.
        sensitivity: Sweeps around the chosen configuration.
        space: What is searched.
        group: Name of the arm over several datasets that it is a member of, and with whose
            other members it shares its search; None for an arm of its own.
        is_baseline: Whether it is trained on the search's seeds too, because a group's search
            compares with it.
        transfer: Whether the settings that other arms of its method chose are tried on it.
        evaluation: What final trials measure beside their metrics.
        like: Name of the arm whose choice it takes in place of a search; its space then holds
            what it takes. None for an arm with a search of its own.
        passes_like: Name of the arm whose passes through the model its final trials have: their
            epochs are the parameter ``training.epochs``. None for the epochs of ``training``.
    """

    name: str
    dataset: DatasetConfig
    model: ModelConfig
    method: MethodConfig
    training: TrainingConfig
    replicas: Replicas
    search: SearchConfig
    sensitivity: tuple[Sensitivity, ...]
    space: Space
    group: str | None = None
    is_baseline: bool = False
    transfer: bool = False
    evaluation: EvaluationConfig = EvaluationConfig()  # noqa: RUF009 (frozen)
    like: str | None = None
    passes_like: str | None = None

    @property
    def limits(self) -> Limits:
        """Limits of the dataset."""
        return dataset_limits(self.dataset)

    @property
    def rules(self) -> Mapping[str, Rule]:
        """Rules of its parameters."""
        return arm_rules(self.method, self.training, self.model, self.limits)

    @property
    def is_searched(self) -> bool:
        """Whether it has dimensions and a search of its own, or of its group."""
        return bool(self.space.dimensions) and self.like is None

    @property
    def search_budget(self) -> int:
        """Number of search trials; without a search 0, or 1 for a baseline."""
        return self.search.trials if self.is_searched else int(self.is_baseline)

    @property
    def final_budget(self) -> int:
        """Number of final trials, if the chosen configuration is among the swept ones."""
        return max(1, sum(len(values) for values in self.sweeps().values()))

    def sweeps(self) -> dict[str, tuple[ParamValue, ...]]:
        """Return each swept dimension's values, those of several sweeps over it merged."""
        found: dict[str, tuple[ParamValue, ...]] = {}
        for one in self.sensitivity:
            values = one.values or self._default_values(one.over)
            found[one.over] = tuple(dict.fromkeys((*found.get(one.over, ()), *values)))
        return found

    def final_points(self, best: Mapping[str, ParamValue]) -> tuple[dict[str, ParamValue], ...]:
        """Return the configurations to train with fresh seeds: the chosen one, then the sweeps."""
        swept = [
            point for over, values in self.sweeps().items() for point in sweep(best, over, values)
        ]
        return unique([best, *swept])

    def with_passes_of(self, method: MethodConfig) -> dict[str, ParamValue]:
        """Return the epochs in which it has as many passes as another method in its own."""
        epochs = self.training.epochs * method.passes / self.method.passes
        return {"training.epochs": max(1, round(epochs))}

    def rejection_reason(self, params: Mapping[str, ParamValue]) -> str | None:
        """Return why another arm's configuration is illegal here; None if it is legal."""
        try:
            self.trial_config(params, (0,), is_final=False)
        except ConfigError as error:
            return str(error)
        return None

    def example_point(self) -> dict[str, ParamValue]:
        """Return a point of the space: the low end or first choice of every dimension."""
        return {name: _first(axis) for name, axis in self.space.dimensions.items()}

    def choice_points(self) -> tuple[dict[str, ParamValue], ...]:
        """Return points of the space among which every choice of every dimension occurs."""
        some = self.example_point()
        return unique(
            [
                some,
                *(
                    {**some, name: choice}
                    for name, axis in self.space.dimensions.items()
                    if isinstance(axis, CategoricalDimension)
                    for choice in axis.choices
                ),
            ]
        )

    def checked(self, sweep: Sensitivity) -> Sensitivity:
        """Check a sweep over a dimension that is searched.

        Returns:
            The sweep, its integers as real numbers where the dimension is of those.

        Raises:
            SpaceError: If a value is illegal, or of another kind than the searched ones, with
                which it could not share a curve.
        """
        values = check_values(self.rules, sweep.over, sweep.values or ())
        axis = self.space.dimensions[sweep.over]
        kind = type(_first(axis))
        if any(type(value) is not kind for value in values):
            raise SpaceError(
                f"{sweep.over} must be swept over {_KINDS[kind]}, as it is searched, got "
                f"{list(values)}."
            )
        if kind in (str, bool) and not all(value in axis for value in values):
            raise SpaceError(
                f"{sweep.over} must be swept over choices that are searched, got {list(values)}."
            )
        return dataclasses.replace(sweep, values=values or None)

    def trial_config(
        self, params: Mapping[str, ParamValue], seeds: tuple[int, ...], *, is_final: bool
    ) -> TrialConfig:
        """Make the configuration of one trial."""
        given = {**self.space.fixed, **params}
        own = {key: value for key, value in given.items() if "." not in key}
        method = decode(type(self.method), {**encode(self.method), **own}, "method")
        return TrialConfig(
            dataset=self.dataset,
            model=_with(self.model, "model", given),
            method=method,
            training=_with(self.training, "training", given),
            seeds=seeds,
            is_final=is_final,
            evaluation=self.evaluation,
        )

    def _default_values(self, over: str) -> tuple[ParamValue, ...]:
        if over == "top_k":
            return tuple(range(1, self.limits.n_classes + 1))
        axis = self.space.dimensions[over]
        if isinstance(axis, IntDimension):
            n = min(_SWEEP_POINTS, axis.high - axis.low + 1)
            return tuple(
                dict.fromkeys(round(v) for v in _spaced(axis.low, axis.high, n, axis.log))
            )
        if isinstance(axis, FloatDimension):
            return tuple(_spaced(axis.low, axis.high, _SWEEP_POINTS, axis.log))
        return axis.choices


def replica_seeds(seed: int, phase: str, count: int) -> tuple[int, ...]:
    """Return the seeds of a phase; ``search`` and ``final`` share none, and all arms share all."""
    return tuple(derive_seed(seed, "replica", phase, i) for i in range(count))


def _with(part: T, where: str, given: Mapping[str, ParamValue]) -> T:
    """Replace the settings of a record that are given by their paths."""
    own = {key: value for key, value in given.items() if key.startswith(f"{where}.")}
    if not own:
        return part
    data: dict[str, Any] = encode(part)
    for path, value in own.items():
        *outer, name = path.split(".")[1:]
        inner = data
        for key in outer:
            inner = inner[key]
        inner[name] = value
    return decode(type(part), data, where)


def _spaced(low: float, high: float, count: int, log: bool) -> list[float]:
    if count == 1 or low == high:
        return [low]
    if log:
        return [low * (high / low) ** (i / (count - 1)) for i in range(count)]
    return [low + (high - low) * i / (count - 1) for i in range(count)]


def _first(axis: Dimension) -> ParamValue:
    return axis.choices[0] if isinstance(axis, CategoricalDimension) else axis.low
