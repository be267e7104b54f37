"""The completed search trials of one arm as arrays, the input of the importance estimators."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from search_spaces import CategoricalDimension, Condition, Dimension, IntDimension, Saltelli
from study.records.errors import ReportError
from study.records.frames import Row
from study.records.labels import Direction, metric_label
from study.records.trial_table import ArmRow, ParamValue, TrialRow, TrialTable
from study.sensitivity.intervals import ReplicaValues, last_values
from study.sensitivity.workloads import require_arm


def encode_value(axis: Dimension, value: ParamValue) -> float:
    """Encode a value as a number: itself, its logarithm, or its index among the choices.

    Example:
        >>> encode_value(CategoricalDimension(choices=("lrp", "gradient")), "gradient")
        1.0
    """
    if isinstance(axis, CategoricalDimension):
        return float(axis.choices.index(value))
    return math.log(float(value)) if axis.log else float(value)


def decode_value(axis: Dimension, number: float) -> ParamValue:
    """Decode a number to a value; integers are rounded to the nearest one of the axis."""
    if isinstance(axis, CategoricalDimension):
        return axis.choices[round(number)]
    value = math.exp(number) if axis.log else number
    # Exponential and logarithm may exceed the axis by the last bit.
    value = min(max(value, axis.low), axis.high)
    return round(value) if isinstance(axis, IntDimension) else float(value)


def axis_bounds(axis: Dimension) -> tuple[float, float]:
    """Return the encoded ends of an axis; those of integers lie half a step further out.

    Designs give every integer an interval of the axis, so that the outermost integers have the
    same weight as the others.

    Example:
        >>> axis_bounds(IntDimension(low=1, high=10))
        (0.5, 10.5)
    """
    if isinstance(axis, CategoricalDimension):
        return -0.5, len(axis.choices) - 0.5
    half = 0.5 if isinstance(axis, IntDimension) else 0.0
    low, high = axis.low - half, axis.high + half
    return (math.log(low), math.log(high)) if axis.log else (low, high)


def is_constant(axis: Dimension) -> bool:
    """Return whether an axis holds a single value."""
    if isinstance(axis, CategoricalDimension):
        return len(axis.choices) == 1
    return axis.low == axis.high


def noise_variance(trials: Sequence[ReplicaValues]) -> float | None:
    """Estimate the variance of a trial's mean that comes from the noise of its replicas.

    It is the mean over trials of the variance over the replicas, divided by their number R. The
    effect of a seed that is the same in every trial is no noise between trials: where all trials
    share their seeds, each seed's mean over the trials is subtracted first.

    Returns:
        In the unit of the metric squared, or None if a trial has a single replica.
    """
    if any(len(trial.values) < 2 for trial in trials):
        return None
    if len({trial.seeds for trial in trials}) > 1 or len(trials) < 2:
        return float(np.mean([np.var(t.values, ddof=1) / len(t.values) for t in trials]))
    values = np.array([trial.values for trial in trials])
    n, replicas = values.shape
    centered = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    return float((centered**2).sum() / ((n - 1) * (replicas - 1)) / replicas)


UNBIASED_SAMPLERS = ("random", "sobol", "saltelli")
"""Samplers that choose points without using results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchData:
    """The completed search trials of one arm, as input of the estimators.

    It is hashable, so that results can be cached by it.

    Attributes:
        axes: Name and axis of each dimension, in the arm's order.
        conditions: The dimensions that are inactive in some trials, with their conditions.
        points: Encoded value (:func:`encode_value`) per trial and dimension; NaN where inactive.
        values: The metric per trial: mean over its replicas at its last evaluation.
        replicas: Numbers of replicas of the trials, in increasing order.
        noise: Variance of a value from replica noise, over the variance of the values; it may
            exceed 1 by chance. None of trials with a single replica.
        block: Trials per block of Saltelli's design; 1 for other designs.
        second_order: Whether the design has blocks for the interactions of pairs.
        is_biased: Whether the trials come from a sampler that uses results.
        notes: Excluded trials and other reservations, in sentences.
    """

    study: str
    arm: str
    method: str
    metric: str
    direction: Direction
    sampler: str
    axes: tuple[tuple[str, Dimension], ...]
    conditions: tuple[tuple[str, Condition], ...]
    trial_numbers: tuple[int, ...]
    points: tuple[tuple[float, ...], ...]
    values: tuple[float, ...]
    replicas: tuple[int, ...]
    noise: float | None
    block: int
    second_order: bool
    is_biased: bool
    notes: tuple[str, ...]

    @property
    def n(self) -> int:
        """Number of trials."""
        return len(self.trial_numbers)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Names of the dimensions."""
        return tuple(name for name, _ in self.axes)

    @property
    def x(self) -> Float[np.ndarray, "trial dimension"]:
        """The points as an array."""
        return np.array(self.points)

    @property
    def y(self) -> Float[np.ndarray, " trial"]:
        """The values as an array."""
        return np.array(self.values)

    def cells(self) -> Row:
        """Return the cells that describe the data in a frame."""
        return {
            "arm": self.arm,
            "metric": self.metric,
            "sampler": self.sampler,
            "n": self.n,
            "replicas": " or ".join(map(str, self.replicas)),
            "noise_share": self.noise,
            "is_biased": self.is_biased,
        }


def search_data(
    table: TrialTable, arm: str, metric: str, *, allow_biased: bool = False
) -> SearchData:
    """Collect the search trials of an arm for claims about its whole space.

    Failed and unfinished trials are excluded, in Saltelli's design with their whole block, and
    named in the notes. With ``allow_biased``, trials of a sampler that uses results are accepted
    and marked as biased.

    Raises:
        ReportError: If the arm searches nothing, its sampler uses results, some trials were
            pruned, fewer than 2 completed, one does not report the metric, or all have the same
            value.
    """
    row = require_arm(table, arm)
    _require_design(row, allow_biased=allow_biased)
    trials, notes = _usable_trials(row, table.select(arm, "search"))
    found = [last_values(trial, metric) for trial in trials]
    values = tuple(statistics.fmean(each.values) for each in found)
    _require_variance(row, metric, values)
    noise = noise_variance(found)
    return SearchData(
        study=table.study,
        arm=arm,
        method=row.method,
        metric=metric,
        direction=table.direction if metric == table.objective else metric_label(metric).direction,
        sampler=row.sampler,
        axes=tuple(row.dimensions.items()),
        conditions=tuple(row.conditions.items()),
        trial_numbers=tuple(trial.number for trial in trials),
        points=tuple(_encoded_point(row, trial) for trial in trials),
        values=values,
        replicas=tuple(sorted({len(each.seeds) for each in found})),
        noise=None if noise is None else noise / statistics.variance(values),
        block=_block_size(row),
        second_order=isinstance(row.design, Saltelli) and row.design.second_order,
        is_biased=row.sampler not in UNBIASED_SAMPLERS,
        notes=notes,
    )


def require_trials(data: SearchData, analysis: str, needed: int, reason: str = "") -> None:
    """Raise ReportError if an analysis needs more trials."""
    if data.n < needed:
        raise ReportError(
            f"arm '{data.arm}': {analysis} of {len(data.axes)} dimensions needs at least {needed} "
            f"trials{reason and f' ({reason})'}, but has {data.n}; raise 'search.trials' and "
            f"resume the study."
        )


def require_unconditional(data: SearchData, analysis: str) -> None:
    """Raise ReportError if a dimension is inactive in some trials."""
    if data.conditions:
        name, condition = data.conditions[0]
        raise ReportError(
            f"arm '{data.arm}': {analysis} needs a value of every dimension in every trial, but "
            f"{name} has one only where {condition.dimension} is {condition.value}; fix "
            f"{condition.dimension} at one value in the study file, or see PED-ANOVA."
        )


def is_design(arm: ArmRow) -> bool:
    """Return whether an arm's search supports claims about its whole space."""
    return bool(arm.dimensions) and arm.sampler in UNBIASED_SAMPLERS


def _require_design(arm: ArmRow, *, allow_biased: bool) -> None:
    if not arm.dimensions:
        raise ReportError(
            f"arm '{arm.name}' must search a dimension for a claim about its space, but its "
            f"method has none or all are fixed; name another arm."
        )
    if not (allow_biased or is_design(arm)):
        raise ReportError(
            f"arm '{arm.name}': a claim about its whole space needs trials that were chosen "
            f"without using results, but these are from {arm.sampler}: they cluster around the "
            f"best, so that shares of variance would describe the choices of {arm.sampler}; "
            f"search with 'sampler: random' or a 'design' (sobol, saltelli), or use "
            f"--allow-biased to show them marked as biased."
        )


def _usable_trials(
    arm: ArmRow, trials: Sequence[TrialRow]
) -> tuple[tuple[TrialRow, ...], tuple[str, ...]]:
    pruned = sum(trial.state == "PRUNED" for trial in trials)
    if pruned:
        raise ReportError(
            f"arm '{arm.name}': a claim about its whole space needs trials of the full budget, "
            f"but {pruned} of {len(trials)} search trials were stopped early: their values are "
            f"those of fewer epochs, and without them the bad regions would be missing; search "
            f"with 'scheduler: none'."
        )
    kept = _complete_blocks(arm, trials)
    if len(kept) < 2:
        raise ReportError(
            f"arm '{arm.name}': a claim about its whole space needs completed search trials, but "
            f"of {len(trials)} there are {len(kept)} to use; resume the study."
        )
    return kept, _notes(arm, trials, kept)


def _complete_blocks(arm: ArmRow, trials: Sequence[TrialRow]) -> tuple[TrialRow, ...]:
    """Return the completed trials, of a design of blocks those of complete blocks."""
    size, done = _block_size(arm), [trial for trial in trials if trial.state == "COMPLETE"]
    counts = Counter(trial.number // size for trial in done)
    return tuple(trial for trial in done if counts[trial.number // size] == size)


def _notes(arm: ArmRow, trials: Sequence[TrialRow], kept: Sequence[TrialRow]) -> tuple[str, ...]:
    failed = sum(trial.state == "FAIL" for trial in trials)
    running = sum(trial.state == "RUNNING" for trial in trials)
    size = _block_size(arm)
    notes = []
    if failed:
        notes.append(
            f"{failed} of {len(trials)} search trials failed and are excluded: the metric in "
            f"their regions is unknown."
        )
    if running:
        notes.append(f"{running} search trials are still running and are excluded.")
    lost = len(trials) - len(kept)
    if size > 1 and lost:
        blocks = len({t.number // size for t in trials} - {t.number // size for t in kept})
        notes.append(
            f"{blocks} of the design's blocks of {size} trials are incomplete and excluded, "
            f"{lost} trials in all."
        )
    if arm.sampler not in UNBIASED_SAMPLERS:
        notes.append(
            f"Biased: {arm.sampler} chose the trials by earlier results, so that they cluster "
            f"around the best; the shares describe its choices as much as the space."
        )
    return tuple(notes)


def _block_size(arm: ArmRow) -> int:
    design = arm.design
    return design.block_size(len(arm.dimensions)) if isinstance(design, Saltelli) else 1


def _encoded_point(arm: ArmRow, trial: TrialRow) -> tuple[float, ...]:
    for name in arm.dimensions:
        if name not in trial.params and name not in arm.conditions:
            raise ReportError(
                f"search trial {trial.number} of arm '{arm.name}' must have a value of {name}, "
                f"but has {', '.join(trial.params) or 'none'}; it is not of this search: delete "
                f"it and resume."
            )
    return tuple(
        encode_value(axis, trial.params[name]) if name in trial.params else math.nan
        for name, axis in arm.dimensions.items()
    )


def _require_variance(arm: ArmRow, metric: str, values: Sequence[float]) -> None:
    if max(values) - min(values) <= 1e-12 * max(abs(value) for value in values):
        raise ReportError(
            f"arm '{arm.name}': {metric} must differ between trials for anything to explain it, "
            f"but is {values[0]:g} in all {len(values)}; name another metric or train longer."
        )
