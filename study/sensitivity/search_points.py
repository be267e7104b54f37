"""Where a search has been: the points of its trials with what came of them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from search_spaces import Dimension
from study.errors import ReportError
from study.sensitivity.labels import Direction
from study.sensitivity.settings import require_arm
from study.trial_table import ParamValue, TrialRow, TrialState, TrialTable


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPoint:
    """One trial.

    Attributes:
        number: Number of the trial.
        state: What became of it.
        params: Its point.
        value: Mean objective at its last evaluation, or None.
    """

    number: int
    state: TrialState
    params: Mapping[str, ParamValue]
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPoints:
    """The search of one arm as points of its space.

    Attributes:
        study: Name of the study.
        arm: Name of the arm.
        method: Method of the arm.
        objective: Key of the metric that is searched.
        direction: Whether more of it is better.
        sampler: Who proposed the trials.
        replicas: Replicas per trial (the most of any).
        dimensions: Name to axis.
        points: Trials that have a value, by number.
        best: Number of the completed trial with the best value.
        without_value: How many trials have none (failed, or nothing reported yet).
    """

    study: str
    arm: str
    method: str
    objective: str
    direction: Direction
    sampler: str
    replicas: int
    dimensions: Mapping[str, Dimension]
    points: tuple[SearchPoint, ...]
    best: int
    without_value: int


def search_points(table: TrialTable, arm: str) -> SearchPoints:
    """Give the points that the search of an arm has tried.

    Raises:
        ReportError: If fewer than 2 of its trials completed.
    """
    row = require_arm(table, arm)
    trials = table.select(arm, "search")
    points = tuple(
        SearchPoint(number=t.number, state=t.state, params=t.params, value=value)
        for t in trials
        if (value := _value(t, table.objective)) is not None
    )
    completed = [p for p in points if p.state == "COMPLETE" and p.value is not None]
    if len(completed) < 2:
        raise ReportError(
            f"arm '{arm}': where its search has been needs at least 2 completed search trials, "
            f"but there are {len(completed)}; run 'challenger-study resume {table.study}'."
        )
    sign = 1 if table.direction == "maximise" else -1
    return SearchPoints(
        study=table.study,
        arm=arm,
        method=row.method,
        objective=table.objective,
        direction=table.direction,
        sampler=row.sampler,
        replicas=max(len(trial.seeds) for trial in trials),
        dimensions=row.dimensions,
        points=points,
        best=max(completed, key=lambda p: sign * (p.value or 0.0)).number,
        without_value=len(trials) - len(points),
    )


def _value(row: TrialRow, objective: str) -> float | None:
    replicas = row.last(objective)
    return statistics.fmean(replicas) if replicas else None
