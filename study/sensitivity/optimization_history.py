"""The trials of an arm's search: objective over the trials, and points of the space."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from search_spaces import Dimension
from study.records.errors import ReportError
from study.records.frames import Row, Tabular
from study.records.labels import Direction
from study.records.trial_table import ArmRow, ParamValue, TrialRow, TrialState, TrialTable
from study.sensitivity.workloads import require_arm


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPoint:
    """One trial of the search.

    Attributes:
        value: Mean objective over the replicas at the last evaluation.
        deviation: Standard deviation of the objective over the replicas.
        best: Best value of the completed trials up to this one.
    """

    number: int
    state: TrialState
    value: float | None
    deviation: float | None
    best: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSearch(Tabular):
    """The search of one arm.

    Attributes:
        objective: Key of the optimized metric.
        replicas: Most replicas of any trial.
    """

    study: str
    arm: str
    method: str
    objective: str
    direction: Direction
    sampler: str
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHistory(ArmSearch):
    """The objective over the trials of a search.

    Attributes:
        points: By trial number.
        reasons: Trial number to reason, for failed trials.
    """

    points: tuple[HistoryPoint, ...]
    reasons: Mapping[int, str]

    def count(self, state: TrialState) -> int:
        """Count the trials in a state."""
        return sum(point.state == state for point in self.points)

    def frame_rows(self) -> Iterator[Row]:
        """Yield a row per trial."""
        for point in self.points:
            yield {
                "arm": self.arm,
                "trial_number": point.number,
                "state": point.state,
                self.objective: point.value,
                f"{self.objective}_std": point.deviation,
                "best_so_far": point.best,
                "reason": self.reasons.get(point.number),
            }


def search_history(table: TrialTable, arm: str) -> SearchHistory:
    """Return the search of one arm, trial by trial.

    Only completed trials, which had the full budget, can be the best so far.

    Raises:
        ReportError: If the arm has no search trials.
    """
    row = require_arm(table, arm)
    trials = table.select(arm, "search")
    if not trials:
        resume = f"; run 'challenger-study resume {table.study}'."
        reason = resume if row.dimensions else ": its method has no dimensions."
        raise ReportError(f"arm '{arm}' has no search trials{reason}")
    return SearchHistory(
        **_search_facts(table, row, trials),
        points=_history_points(table, trials),
        reasons={t.number: t.reason or "no reason given" for t in trials if t.state == "FAIL"},
    )


def _search_facts(table: TrialTable, arm: ArmRow, trials: tuple[TrialRow, ...]) -> dict[str, Any]:
    return {
        "study": table.study,
        "arm": arm.name,
        "method": arm.method,
        "objective": table.objective,
        "direction": table.direction,
        "sampler": arm.sampler,
        "replicas": max(len(trial.seeds) for trial in trials),
    }


def _history_points(table: TrialTable, trials: tuple[TrialRow, ...]) -> tuple[HistoryPoint, ...]:
    better = max if table.direction == "maximize" else min
    best: float | None = None
    points = []
    for trial in trials:
        replicas = trial.last(table.objective)
        value = trial.value
        if value is None:
            value = _mean_objective(trial, table.objective)
        if trial.state == "COMPLETE" and value is not None:
            best = value if best is None else better(best, value)
        points.append(
            HistoryPoint(
                number=trial.number,
                state=trial.state,
                value=value,
                deviation=statistics.stdev(replicas) if replicas and len(replicas) > 1 else None,
                best=best,
            )
        )
    return tuple(points)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPoint:
    """One trial with its mean objective at the last evaluation."""

    number: int
    state: TrialState
    params: Mapping[str, ParamValue]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPoints(ArmSearch):
    """The trials of a search as points of its space.

    Attributes:
        points: Trials that have a value, by number.
        best: Number of the completed trial with the best value.
        n_without_value: Number of trials without a value (failed, or nothing reported yet).
    """

    dimensions: Mapping[str, Dimension]
    points: tuple[SearchPoint, ...]
    best: int
    n_without_value: int

    def frame_rows(self) -> Iterator[Row]:
        """Yield a row per trial."""
        for point in self.points:
            yield {
                "arm": self.arm,
                "trial_number": point.number,
                "state": point.state,
                self.objective: point.value,
                "is_best": point.number == self.best,
                **{f"params/{name}": value for name, value in point.params.items()},
            }


def search_points(table: TrialTable, arm: str) -> SearchPoints:
    """Return the trials of an arm's search as points of its space.

    Raises:
        ReportError: If fewer than 2 of its trials completed.
    """
    row = require_arm(table, arm)
    trials = table.select(arm, "search")
    points = tuple(
        SearchPoint(number=t.number, state=t.state, params=t.params, value=value)
        for t in trials
        if (value := _mean_objective(t, table.objective)) is not None
    )
    completed = [point for point in points if point.state == "COMPLETE"]
    if len(completed) < 2:
        raise ReportError(
            f"arm '{arm}': a figure of its search needs at least 2 completed search trials, but "
            f"there are {len(completed)}; run 'challenger-study resume {table.study}'."
        )
    sign = 1 if table.direction == "maximize" else -1
    return SearchPoints(
        **_search_facts(table, row, trials),
        dimensions=row.dimensions,
        points=points,
        best=max(completed, key=lambda p: sign * p.value).number,
        n_without_value=len(trials) - len(points),
    )


def _mean_objective(row: TrialRow, objective: str) -> float | None:
    replicas = row.last(objective)
    return statistics.fmean(replicas) if replicas else None
