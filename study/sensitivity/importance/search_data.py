"""The completed search trials of one arm as arrays, on which importances are estimated."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float

from search_spaces import CategoricalDimension, Condition, Dimension, IntDimension, Saltelli
from study.records.errors import ReportError
from study.records.labels import Direction, metric_label
from study.records.trial_table import ArmRow, ParamValue, TrialRow, TrialTable
from study.sensitivity.intervals import ReplicaValues, last_values
from study.sensitivity.workloads import require_arm


def encode_value(axis: Dimension, value: ParamValue) -> float:
    """Give a value's place: itself, its logarithm, or its place among the choices.

    Example:
        >>> to_number(CategoricalDimension(choices=("lrp", "gradient")), "gradient")
        1.0
    """
    if isinstance(axis, CategoricalDimension):
        return float(axis.choices.index(value))
    return math.log(float(value)) if axis.log else float(value)


def decode_value(axis: Dimension, number: float) -> ParamValue:
    """Give the value at a place; integers are rounded to the nearest one of the axis."""
    if isinstance(axis, CategoricalDimension):
        return axis.choices[round(number)]
    value = math.exp(number) if axis.log else number
    # Exponential and logarithm may leave the axis by the last bit.
    value = min(max(value, axis.low), axis.high)
    return round(value) if isinstance(axis, IntDimension) else float(value)


def axis_bounds(axis: Dimension) -> tuple[float, float]:
    """Give the ends of an axis as numbers; integers reach half a step beyond their last one.

    Designs give every integer a part of the axis for itself, so that the outermost ones weigh as
    much as the others.

    Example:
        >>> extent(IntDimension(low=1, high=10))
        (0.5, 10.5)
    """
    if isinstance(axis, CategoricalDimension):
        return -0.5, len(axis.choices) - 0.5
    half = 0.5 if isinstance(axis, IntDimension) else 0.0
    low, high = axis.low - half, axis.high + half
    return (math.log(low), math.log(high)) if axis.log else (low, high)


def is_constant(axis: Dimension) -> bool:
    """Tell whether an axis holds one value alone."""
    if isinstance(axis, CategoricalDimension):
        return len(axis.choices) == 1
    return axis.low == axis.high


def noise_variance(trials: Sequence[ReplicaValues]) -> float | None:
    """Estimate the variance that the replicas' noise gives to a trial's mean.

    It is the mean over trials of the variance over the replicas, divided by their number R. A
    seed that does well in every trial is no noise between trials: it moves them all. So where
    all trials share their seeds, each seed's mean over the trials is taken away first; what is
    left is then the noise alone, and without that it would be too large.

    Args:
        trials: One metric of each trial.

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
"""Who chooses points without looking at results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchData:
    """The completed search trials of one arm, ready for estimators.

    It can be hashed, so that what is computed from it once need not be again.

    Attributes:
        study: Name of the study.
        arm: Name of the arm.
        method: Method of the arm.
        metric: Key of the metric.
        direction: Whether more of the metric is better.
        sampler: Who proposed the trials.
        axes: Name and axis of each dimension, in the arm's order.
        conditions: Name of each dimension that has no value in some trials, and what opens it.
        numbers: Numbers of the trials used.
        points: A number per trial and dimension: the value on its axis, its logarithm on a
            logarithmic axis, the place of a choice among the choices; NaN where it has none.
        values: The metric per trial: mean over its replicas at its last evaluation.
        replicas: Numbers of replicas that trials have, in increasing order.
        noise: Variance that the noise of the replicas gives to a value, over the variance of the
            values; it may exceed 1 by chance. None of trials with a single replica.
        block: Trials per block of Saltelli's design; 1 for other trials, each of its own.
        second_order: Whether the blocks hold what interactions of pairs are estimated from.
        is_biased: Whether a sampler that looks at results proposed the trials.
        notes: What was left out, and other reservations, in sentences.
    """

    study: str
    arm: str
    method: str
    metric: str
    direction: Direction
    sampler: str
    axes: tuple[tuple[str, Dimension], ...]
    conditions: tuple[tuple[str, Condition], ...]
    numbers: tuple[int, ...]
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
        return len(self.numbers)

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


def search_data(
    table: TrialTable, arm: str, metric: str, *, allow_biased: bool = False
) -> SearchData:
    """Take the search trials of an arm as the basis of a claim about its whole space.

    Failed and unfinished trials are left out, of Saltelli's design with their whole block, and
    the notes say so.

    Args:
        table: Trials of the study.
        arm: Name of the arm.
        metric: Key of a metric that search trials report: ``val/accuracy``.
        insist: Accept trials of a sampler that looks at results, and mark the basis as biased.

    Raises:
        ReportError: If the arm searches nothing, a sampler that looks at results proposed its
            trials, some of them were stopped early, fewer than 2 completed, one does not report
            the metric, or all have the same value.
    """
    row = require_arm(table, arm)
    _require_design(row, allow_biased=allow_biased)
    trials, notes = _usable_trials(row, table.select(arm, "search"))
    found = [last_values(trial, metric) for trial in trials]
    values = tuple(statistics.fmean(each.values) for each in found)
    _require_variance(row, metric, values)
    return SearchData(
        study=table.study,
        arm=arm,
        method=row.method,
        metric=metric,
        direction=table.direction if metric == table.objective else metric_label(metric).direction,
        sampler=row.sampler,
        axes=tuple(row.dimensions.items()),
        conditions=tuple(row.conditions.items()),
        numbers=tuple(trial.number for trial in trials),
        points=tuple(_encoded_point(row, trial) for trial in trials),
        values=values,
        replicas=tuple(sorted({len(each.seeds) for each in found})),
        noise=_noise_share(found, values),
        block=_block_size(row),
        second_order=isinstance(row.design, Saltelli) and row.design.second_order,
        is_biased=row.sampler not in UNBIASED_SAMPLERS,
        notes=(*notes, *_bias_notes(row)),
    )


def is_design(arm: ArmRow) -> bool:
    """Tell whether an arm's search can be the basis of a global claim without insisting."""
    return bool(arm.dimensions) and arm.sampler in UNBIASED_SAMPLERS


def _require_design(arm: ArmRow, *, allow_biased: bool) -> None:
    if not arm.dimensions:
        raise ReportError(
            f"arm '{arm.name}' must search a dimension for a claim about its space, but its "
            f"method has none or all are held; name another arm."
        )
    if arm.sampler not in UNBIASED_SAMPLERS and not allow_biased:
        raise ReportError(
            f"arm '{arm.name}': a claim about its whole space needs trials that were chosen "
            f"without looking at results, but {arm.sampler} proposed them: they cluster around "
            f"the best, so that shares of variance would describe {arm.sampler}'s own choices; "
            f"search with 'sampler: random' or a 'design' (sobol, saltelli), or give --allow-biased to "
            f"see them marked as biased."
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
    return kept, _exclusion_notes(arm, trials, kept)


def _complete_blocks(arm: ArmRow, trials: Sequence[TrialRow]) -> tuple[TrialRow, ...]:
    """Keep completed trials, of a design of blocks those of blocks that completed whole."""
    size, done = _block_size(arm), [trial for trial in trials if trial.state == "COMPLETE"]
    counts: dict[int, int] = {}
    for trial in done:
        counts[trial.number // size] = counts.get(trial.number // size, 0) + 1
    return tuple(trial for trial in done if counts[trial.number // size] == size)


def _exclusion_notes(
    arm: ArmRow, trials: Sequence[TrialRow], kept: Sequence[TrialRow]
) -> tuple[str, ...]:
    failed = sum(trial.state == "FAIL" for trial in trials)
    running = sum(trial.state == "RUNNING" for trial in trials)
    size = _block_size(arm)
    notes = []
    if failed:
        notes.append(
            f"{failed} of {len(trials)} search trials failed and are left out: where they lie, "
            f"nothing is known."
        )
    if running:
        notes.append(f"{running} search trials are still running and are left out.")
    lost = len(trials) - len(kept)
    if size > 1 and lost:
        blocks = len({t.number // size for t in trials} - {t.number // size for t in kept})
        notes.append(
            f"{blocks} of the design's blocks of {size} trials did not complete whole and are "
            f"left out, {lost} trials in all."
        )
    return tuple(notes)


def _block_size(arm: ArmRow) -> int:
    design = arm.design
    return design.block_size(len(arm.dimensions)) if isinstance(design, Saltelli) else 1


def _encoded_point(arm: ArmRow, trial: TrialRow) -> tuple[float, ...]:
    number = partial(_encoded_param, arm, trial)
    return tuple(number(name, axis) for name, axis in arm.dimensions.items())


def _encoded_param(arm: ArmRow, trial: TrialRow, name: str, axis: Dimension) -> float:
    if name in trial.params:
        return encode_value(axis, trial.params[name])
    if name in arm.conditions:
        return float("nan")
    raise ReportError(
        f"search trial {trial.number} of arm '{arm.name}' must have a value of {name}, but has "
        f"{', '.join(trial.params) or 'none'}; it is not of this search: delete it and resume."
    )


def _require_variance(arm: ArmRow, metric: str, values: Sequence[float]) -> None:
    if max(values) - min(values) <= 1e-12 * max(abs(value) for value in values):
        raise ReportError(
            f"arm '{arm.name}': {metric} must differ between trials for anything to explain it, "
            f"but is {values[0]:g} in all {len(values)}; name another metric or train longer."
        )


def _noise_share(found: Sequence[ReplicaValues], values: Sequence[float]) -> float | None:
    noise = noise_variance(found)
    return None if noise is None else noise / statistics.variance(values)


def _bias_notes(arm: ArmRow) -> tuple[str, ...]:
    if arm.sampler in UNBIASED_SAMPLERS:
        return ()
    return (
        f"Biased: {arm.sampler} proposed the trials by their results, so that they cluster around "
        f"the best; the shares describe its choices as much as the space.",
    )
