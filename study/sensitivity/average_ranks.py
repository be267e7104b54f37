"""Average ranks of methods over several datasets, with Nemenyi's critical difference."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from study.records.errors import ReportError
from study.records.frames import Row, Tabular
from study.records.labels import Direction, metric_label
from study.records.trial_table import TrialTable
from study.sensitivity.comparison import compare
from study.sensitivity.intervals import CONFIDENCE
from study.sensitivity.permutation_tests import block_test

_MIN_COUNT = 3
"""Fewest datasets, and fewest methods, that can be ranked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodRank:
    """The ranks of one method.

    Attributes:
        rank: Mean rank over the datasets; 1 is best, ties share the mean of their ranks.
        ranks: Rank on each dataset, in the order of ``AverageRanks.workloads``.
    """

    method: str
    rank: float
    ranks: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AverageRanks(Tabular):
    """Methods compared by their ranks on several datasets.

    Attributes:
        metric: Key of the metric; each method counts by its mean over replicas.
        workloads: Dataset and model of each ranking, as text.
        methods: Best first.
        p_value: Friedman's test that all methods are equal, by permutation within datasets.
        critical_difference: Nemenyi's: mean ranks further apart differ at 5 %.
        insignificant_groups: Groups of methods, best first, whose mean ranks lie within the
            critical difference; only the largest groups.
        notes: Methods and datasets that are left out, with reasons.
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

    def frame_rows(self) -> Iterator[Row]:
        """Yield a row per method."""
        for one in self.methods:
            yield {
                "method": one.method,
                "metric": self.metric,
                "mean_rank": one.rank,
                "critical_difference": self.critical_difference,
                "p_value": self.p_value,
                **{f"rank/{k}": rank for k, rank in zip(self.workloads, one.ranks, strict=True)},
            }


def average_ranks(table: TrialTable, metric: str) -> AverageRanks:
    """Rank the methods on each dataset and model, and average over these.

    Ranked are the methods that have a result on every dataset; of two arms of one method on a
    dataset the first counts.

    Raises:
        ReportError: If there are fewer than 3 datasets or 3 methods with results.

    References:
        Demšar, JMLR 2006, section 3.2.2.
    """
    results = _workload_results(table, metric)
    kept = {name: found for name, found in results.items() if found}
    every = tuple(dict.fromkeys(arm.method for arm in table.arms))
    methods = [m for m in every if kept and all(m in found for found in kept.values())]
    notes = (
        *(f"No result on {name} yet: it is not ranked." for name in results if name not in kept),
        *(
            f"{method} is not ranked: it has no result on some of the datasets."
            for method in every
            if method not in methods
        ),
    )
    for count, noun in ((len(kept), "datasets"), (len(methods), "methods with results on all")):
        if count < _MIN_COUNT:
            raise ReportError(
                f"study '{table.study}': average ranks need at least {_MIN_COUNT} {noun}, but "
                f"there are {count}; add arms to the study file.{''.join(' ' + n for n in notes)}"
            )
    direction = metric_label(metric).direction
    sign = -1.0 if direction == "maximize" else 1.0
    ranks = np.array(
        [stats.rankdata([sign * found[m] for m in methods]) for found in kept.values()]
    )
    means = ranks.mean(axis=0)
    distance = critical_difference(len(methods), len(kept))
    best_first = tuple(
        MethodRank(method=methods[i], rank=float(means[i]), ranks=tuple(map(float, ranks[:, i])))
        for i in sorted(range(len(methods)), key=lambda i: means[i])
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
    """Compute Nemenyi's critical difference of mean ranks at the confidence of all intervals.

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


def _workload_results(table: TrialTable, metric: str) -> dict[str, dict[str, float]]:
    """Return each method's mean over replicas, by dataset and model."""
    found: dict[str, dict[str, float]] = {}
    for row in compare(table, (metric,)).rows:
        results = found.setdefault(f"{row.dataset}, {row.model}", {})
        if (measured := row.get(metric)) is not None:
            results.setdefault(row.method, measured.interval.mean)
    return found
