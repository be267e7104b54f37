"""What a global claim stands on: the trials of a search as points with a value each."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float

from search_spaces import Condition, Dimension, Saltelli
from study.errors import ReportError
from study.sensitivity.importance.axes import to_number
from study.sensitivity.importance.noise import noise_variance
from study.sensitivity.labels import Direction, metric_label
from study.sensitivity.replicas import ReplicaValues, last_values
from study.sensitivity.settings import require_arm
from study.trial_table import ArmRow, TrialRow, TrialTable

UNBIASED = ("random", "sobol", "saltelli")
"""Who chooses points without looking at results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalBasis:
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


def global_basis(table: TrialTable, arm: str, metric: str, *, insist: bool = False) -> GlobalBasis:
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
    _require_design(row, insist=insist)
    trials, notes = _usable(row, table.select(arm, "search"))
    found = [last_values(trial, metric) for trial in trials]
    values = tuple(statistics.fmean(each.values) for each in found)
    _require_spread(row, metric, values)
    return GlobalBasis(
        study=table.study,
        arm=arm,
        method=row.method,
        metric=metric,
        direction=table.direction if metric == table.objective else metric_label(metric).direction,
        sampler=row.sampler,
        axes=tuple(row.dimensions.items()),
        conditions=tuple(row.conditions.items()),
        numbers=tuple(trial.number for trial in trials),
        points=tuple(_point(row, trial) for trial in trials),
        values=values,
        replicas=tuple(sorted({len(each.seeds) for each in found})),
        noise=_noise_share(found, values),
        block=_block(row),
        second_order=isinstance(row.design, Saltelli) and row.design.second_order,
        is_biased=row.sampler not in UNBIASED,
        notes=(*notes, *_reservations(row)),
    )


def is_design(arm: ArmRow) -> bool:
    """Tell whether an arm's search can be the basis of a global claim without insisting."""
    return bool(arm.dimensions) and arm.sampler in UNBIASED


def _require_design(arm: ArmRow, *, insist: bool) -> None:
    if not arm.dimensions:
        raise ReportError(
            f"arm '{arm.name}' must search a dimension for a claim about its space, but its "
            f"method has none or all are held; name another arm."
        )
    if arm.sampler not in UNBIASED and not insist:
        raise ReportError(
            f"arm '{arm.name}': a claim about its whole space needs trials that were chosen "
            f"without looking at results, but {arm.sampler} proposed them: they cluster around "
            f"the best, so that shares of variance would describe {arm.sampler}'s own choices; "
            f"search with 'sampler: random' or a 'design' (sobol, saltelli), or give --insist to "
            f"see them marked as biased."
        )


def _usable(
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
    kept = _in_whole_blocks(arm, trials)
    if len(kept) < 2:
        raise ReportError(
            f"arm '{arm.name}': a claim about its whole space needs completed search trials, but "
            f"of {len(trials)} there are {len(kept)} to use; resume the study."
        )
    return kept, _left_out(arm, trials, kept)


def _in_whole_blocks(arm: ArmRow, trials: Sequence[TrialRow]) -> tuple[TrialRow, ...]:
    """Keep completed trials, of a design of blocks those of blocks that completed whole."""
    size, done = _block(arm), [trial for trial in trials if trial.state == "COMPLETE"]
    counts: dict[int, int] = {}
    for trial in done:
        counts[trial.number // size] = counts.get(trial.number // size, 0) + 1
    return tuple(trial for trial in done if counts[trial.number // size] == size)


def _left_out(
    arm: ArmRow, trials: Sequence[TrialRow], kept: Sequence[TrialRow]
) -> tuple[str, ...]:
    failed = sum(trial.state == "FAIL" for trial in trials)
    running = sum(trial.state == "RUNNING" for trial in trials)
    size = _block(arm)
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


def _block(arm: ArmRow) -> int:
    design = arm.design
    return design.block_size(len(arm.dimensions)) if isinstance(design, Saltelli) else 1


def _point(arm: ArmRow, trial: TrialRow) -> tuple[float, ...]:
    number = partial(_number, arm, trial)
    return tuple(number(name, axis) for name, axis in arm.dimensions.items())


def _number(arm: ArmRow, trial: TrialRow, name: str, axis: Dimension) -> float:
    if name in trial.params:
        return to_number(axis, trial.params[name])
    if name in arm.conditions:
        return float("nan")
    raise ReportError(
        f"search trial {trial.number} of arm '{arm.name}' must have a value of {name}, but has "
        f"{', '.join(trial.params) or 'none'}; it is not of this search: delete it and resume."
    )


def _require_spread(arm: ArmRow, metric: str, values: Sequence[float]) -> None:
    if max(values) - min(values) <= 1e-12 * max(abs(value) for value in values):
        raise ReportError(
            f"arm '{arm.name}': {metric} must differ between trials for anything to explain it, "
            f"but is {values[0]:g} in all {len(values)}; name another metric or train longer."
        )


def _noise_share(found: Sequence[ReplicaValues], values: Sequence[float]) -> float | None:
    noise = noise_variance(found)
    return None if noise is None else noise / statistics.variance(values)


def _reservations(arm: ArmRow) -> tuple[str, ...]:
    if arm.sampler in UNBIASED:
        return ()
    return (
        f"Biased: {arm.sampler} proposed the trials by their results, so that they cluster around "
        f"the best; the shares describe its choices as much as the space.",
    )
