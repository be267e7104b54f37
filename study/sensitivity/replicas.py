"""The values of one trial's replicas, and how those of two trials are paired by seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from study.errors import ReportError
from study.trial_table import TrialRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaValues:
    """One metric of one trial.

    Attributes:
        trial: Which trial, for messages: ``final trial 3 of arm 'challenger'``.
        metric: Key of the metric.
        seeds: Seed of each replica.
        values: Value of each replica, in the order of ``seeds``.
    """

    trial: str
    metric: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]


def last_values(row: TrialRow, metric: str) -> ReplicaValues:
    """Give a metric per replica at the trial's last evaluation that has it.

    Raises:
        ReportError: If no evaluation has it, or a replica's value is not finite.
    """
    return _checked(row, metric, row.last(metric), "at any epoch")


def initial_values(row: TrialRow, metric: str) -> ReplicaValues:
    """Give a metric per replica at epoch 0, the freshly initialised model.

    Raises:
        ReportError: If epoch 0 does not have it, or a replica's value is not finite.
    """
    values = next((r.metrics.get(metric) for r in row.reports if r.epoch == 0), None)
    return _checked(row, metric, values, "at epoch 0")


def require_replicas(arm: str, seeds: tuple[int, ...]) -> None:
    """Require that an arm's final trial has enough replicas for an interval.

    Raises:
        ReportError: If it has fewer than 2.
    """
    if len(seeds) < 2:
        raise ReportError(
            f"arm '{arm}' needs at least 2 final replicas for an interval, but has {len(seeds)}; "
            f"set 'replicas.final' to 2 or more and resume the study."
        )


def paired_by_seed(
    a: ReplicaValues, b: ReplicaValues
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Put the values of two trials in one order of seeds, that of the first.

    Raises:
        ReportError: If the two trials were not trained with the same seeds.
    """
    return a.values, in_order_of(a.seeds, b, owner=a.trial)


def in_order_of(
    seeds: tuple[int, ...], replicas: ReplicaValues, *, owner: str
) -> tuple[float, ...]:
    """Put the values of a trial in the order of another trial's seeds.

    Args:
        seeds: The order wanted.
        replicas: The values to put in that order.
        owner: Whose seeds they are, for the message.

    Raises:
        ReportError: If the trial was not trained with exactly these seeds.
    """
    if sorted(seeds) != sorted(replicas.seeds):
        raise ReportError(
            f"{replicas.metric}: pairs must share their replica seeds, but {owner} has "
            f"{list(seeds)} and {replicas.trial} has {list(replicas.seeds)}; train both with "
            f"the same 'replicas.final' and resume the study."
        )
    by_seed = dict(zip(replicas.seeds, replicas.values, strict=True))
    return tuple(by_seed[seed] for seed in seeds)


def _checked(
    row: TrialRow, metric: str, values: tuple[float, ...] | None, when: str
) -> ReplicaValues:
    trial = f"{row.phase} trial {row.number} of arm '{row.arm}'"
    if values is None:
        raise ReportError(
            f"{trial} must report {metric}, but has none {when}; "
            f"name another metric or resume the study."
        )
    if len(values) != len(row.seeds) or len(set(row.seeds)) != len(row.seeds):
        raise ReportError(
            f"{trial}: {metric} must hold one value for each of its distinct seeds, but holds "
            f"{len(values)} for {list(row.seeds)}; delete the trial and resume the study."
        )
    for seed, value in zip(row.seeds, values, strict=True):
        if not math.isfinite(value):
            raise ReportError(
                f"{trial}: {metric} must be finite, but is {value} for seed {seed}; "
                f"look at that replica's loss."
            )
    return ReplicaValues(trial=trial, metric=metric, seeds=row.seeds, values=values)
