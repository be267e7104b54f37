"""How the search of one arm went: the objective of each trial and the best so far."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from study.errors import ReportError
from study.sensitivity.labels import Direction
from study.sensitivity.settings import require_arm
from study.trial_table import TrialRow, TrialState, TrialTable


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPoint:
    """One trial of the search.

    Attributes:
        number: Number of the trial.
        state: What became of it.
        value: Mean objective over the replicas at its last evaluation, or None.
        deviation: Standard deviation of the objective over the replicas, or None.
        best: Best value of the completed trials up to this one, or None before the first.
    """

    number: int
    state: TrialState
    value: float | None
    deviation: float | None
    best: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHistory:
    """The search of one arm.

    Attributes:
        study: Name of the study.
        arm: Name of the arm.
        method: Method of the arm.
        objective: Key of the metric that is searched.
        direction: Whether more of it is better.
        sampler: Who proposed the trials.
        replicas: Replicas per trial (the most of any).
        points: By trial number.
        reasons: Trial number to reason, for failed trials.
    """

    study: str
    arm: str
    method: str
    objective: str
    direction: Direction
    sampler: str
    replicas: int
    points: tuple[HistoryPoint, ...]
    reasons: Mapping[int, str]

    def count(self, state: TrialState) -> int:
        """Count the trials in a state."""
        return sum(point.state == state for point in self.points)


def search_history(table: TrialTable, arm: str) -> SearchHistory:
    """Follow the search of one arm, trial by trial.

    Only completed trials, which had the full budget, count as the best so far.

    Raises:
        ReportError: If the arm has no search trials.
    """
    row = require_arm(table, arm)
    trials = table.select(arm, "search")
    if not trials:
        raise ReportError(
            f"arm '{arm}' has no search trials"
            + (
                f"; run 'challenger-study resume {table.study}'."
                if row.dimensions
                else ": its method has no dimensions."
            )
        )
    return SearchHistory(
        study=table.study,
        arm=arm,
        method=row.method,
        objective=table.objective,
        direction=table.direction,
        sampler=row.sampler,
        replicas=max(len(trial.seeds) for trial in trials),
        points=_points(table, trials),
        reasons={t.number: t.reason or "no reason given" for t in trials if t.state == "FAIL"},
    )


def _points(table: TrialTable, trials: tuple[TrialRow, ...]) -> tuple[HistoryPoint, ...]:
    better = max if table.direction == "maximise" else min
    best: float | None = None
    points = []
    for trial in trials:
        replicas = trial.last(table.objective)
        value = trial.value
        if value is None and replicas:
            value = statistics.fmean(replicas)
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
