"""Methods over several datasets: average ranks with a critical difference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from study.records.errors import ReportError
from study.records.labels import Direction, metric_label
from study.records.trial_table import TrialTable
from study.sensitivity.comparison import Comparison, compare
from study.sensitivity.intervals import CONFIDENCE
from study.sensitivity.permutation_tests import block_test
from study.sensitivity.workloads import Workload, workloads

_MIN_COUNT = 3
"""Fewest datasets, and fewest methods, of which ranks say anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodRank:
    """One method.

    Attributes:
        method: Name of the method.
        rank: Its mean rank over the datasets; 1 is best, ties share the mean of their ranks.
        ranks: Its rank on each dataset, in the record's order.
    """

    method: str
    rank: float
    ranks: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AverageRanks:
    """Methods compared by their ranks on several datasets.

    Attributes:
        study: Name of the study.
        metric: Key of the metric; each method counts by its mean over replicas.
        direction: Whether more of the metric is better.
        settings: Dataset and model of each ranking, for people.
        methods: Best first.
        p_value: Friedman's test of all methods being alike, by permutation within datasets.
        critical_difference: Nemenyi's: mean ranks further apart differ at 5 %.
        alike: Groups of methods, best first, whose mean ranks lie within the critical
            difference; only the largest ones.
        notes: Which methods and datasets are left out and why, in sentences.
    """

    study: str
    metric: str
    direction: Direction
    workloads: tuple[str, ...]
    methods: tuple[MethodRank, ...]
    p_value: float
    critical_difference: float
    insignificant_groups: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def average_ranks(table: TrialTable, metric: str) -> AverageRanks:
    """Rank the methods on each dataset and model, and average over these.

    The methods ranked are those that have a result everywhere; of two arms of one method on a
    dataset the first counts.

    Raises:
        ReportError: If there are fewer than 3 datasets or 3 methods with results.

    References:
        Demšar, JMLR 2006, section 3.2.2.
    """
    comparison = compare(table, (metric,))
    results = {
        s: _workload_results(comparison, s, metric) for s in map(_workload_name, workloads(table))
    }
    kept = {name: found for name, found in results.items() if found}
    methods = [m for m in _methods(table) if kept and all(m in found for found in kept.values())]
    notes = _notes(table, results, methods)
    _require_enough(table, kept, methods, notes)
    direction = metric_label(metric).direction
    sign = -1.0 if direction == "maximize" else 1.0
    ranks = np.array(
        [stats.rankdata([sign * found[m] for m in methods]) for found in kept.values()]
    )
    means = ranks.mean(axis=0)
    order = sorted(range(len(methods)), key=lambda i: means[i])
    distance = critical_difference(len(methods), len(kept))
    best_first = tuple(
        MethodRank(method=methods[i], rank=float(means[i]), ranks=tuple(map(float, ranks[:, i])))
        for i in order
    )
    return AverageRanks(
        study=table.study,
        metric=metric,
        direction=direction,
        workloads=tuple(kept),
        methods=best_first,
        p_value=block_test(ranks.T, table.study, metric),
        critical_difference=distance,
        insignificant_groups=_insignificant_groups(best_first, distance),
        notes=notes,
    )


def critical_difference(methods: int, datasets: int) -> float:
    """Give Nemenyi's critical difference of mean ranks at the confidence of all intervals.

    q·√(k(k+1)/6N) with q the quantile of the Studentized range over √2.

    Example:
        >>> round(critical_difference(4, 14), 2)
        1.25
    """
    quantile = float(stats.studentized_range.ppf(CONFIDENCE, methods, math.inf)) / math.sqrt(2)
    return quantile * math.sqrt(methods * (methods + 1) / (6 * datasets))


def _insignificant_groups(
    methods: tuple[MethodRank, ...], distance: float
) -> tuple[tuple[str, ...], ...]:
    groups: list[tuple[str, ...]] = []
    last = 0
    for start, first in enumerate(methods):
        end = start
        while end < len(methods) and methods[end].rank - first.rank < distance:
            end += 1
        if end - start > 1 and end > last:
            groups.append(tuple(one.method for one in methods[start:end]))
            last = end
    return tuple(groups)


def _workload_results(comparison: Comparison, workload: str, metric: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for row in comparison.rows:
        measured = row.get(metric)
        if f"{row.dataset}, {row.model}" == workload and measured is not None:
            found.setdefault(row.method, measured.interval.mean)
    return found


def _methods(table: TrialTable) -> tuple[str, ...]:
    return tuple(dict.fromkeys(arm.method for arm in table.arms))


def _workload_name(workload: Workload) -> str:
    return f"{workload.dataset}, {workload.model}"


def _notes(
    table: TrialTable, results: dict[str, dict[str, float]], methods: list[str]
) -> tuple[str, ...]:
    empty = [name for name, found in results.items() if not found]
    partial = [m for m in _methods(table) if m not in methods]
    return (
        *(f"No result on {name} yet: it is not ranked." for name in empty),
        *(f"{m} is not ranked: it has no result on some of the datasets." for m in partial),
    )


def _require_enough(
    table: TrialTable,
    kept: dict[str, dict[str, float]],
    methods: list[str],
    notes: tuple[str, ...],
) -> None:
    for count, what in ((len(kept), "datasets"), (len(methods), "methods with results on all")):
        if count < _MIN_COUNT:
            raise ReportError(
                f"study '{table.study}': average ranks need at least {_MIN_COUNT} {what}, but there "
                f"are {count}; add arms to the study file.{''.join(' ' + n for n in notes)}"
            )
