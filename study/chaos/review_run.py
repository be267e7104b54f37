"""A run of MLflow's: as it must be, from the study's records, and as it stands in its database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from study.tracking.entries import CloseRun, Entry, LogMetrics, OpenRun, SetTags
from study.tracking.review_copy import RUN_KEY_TAG

# Name, parent, files and description of a run, which are looked at elsewhere, and the commit of
# the code and whether files differed from it, which may have been otherwise when the run began.
_OTHER_TAGS: Final = (
    RUN_KEY_TAG,
    "git_commit",
    "mlflow.loggedArtifacts",
    "mlflow.note.content",
    "mlflow.parentRunId",
    "mlflow.runName",
    "mlflow.source.git.commit",
    "mlflow.source.git.dirty",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value of one metric."""

    metric: str
    step: int
    value: float
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRun:
    """What MLflow knows of a trial or an arm.

    Attributes:
        run_key: Its name in the outbox; empty for a run that nobody asked for.
        name: Its name for people.
        status: MLflow's status.
        start_ms: When it began, in milliseconds since 1970.
        end_ms: When it ended, or None.
        parent_key: The run that it stands below, or None.
        params: Settings.
        tags: Labels, but for those that say something of another kind.
        points: All values of all metrics.
    """

    run_key: str
    name: str
    status: str
    start_ms: int
    end_ms: int | None
    parent_key: str | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    points: frozenset[Point]


def expected_runs(entries: Iterable[Entry]) -> dict[str, ReviewRun]:
    """Give the runs that MLflow must have once it was told these entries, by key."""
    by_run: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.run_key is not None:
            by_run.setdefault(entry.run_key, []).append(entry)
    return {key: _expected(key, told) for key, told in by_run.items()}


def _expected(run_key: str, entries: list[Entry]) -> ReviewRun:
    (opening,) = (entry for entry in entries if isinstance(entry, OpenRun))
    closings = [entry for entry in entries if isinstance(entry, CloseRun)]
    closing = closings[-1] if closings else None
    further = {
        k: v for entry in entries if isinstance(entry, SetTags) for k, v in entry.tags.items()
    }
    return ReviewRun(
        run_key=run_key,
        name=opening.name,
        status=closing.status if closing else "RUNNING",
        start_ms=opening.start_ms,
        end_ms=closing.end_ms if closing else None,
        parent_key=opening.parent_key,
        params=opening.params,
        tags=_own_tags({**opening.tags, **(closing.tags if closing else {}), **further}),
        points=frozenset(_points(entries)),
    )


def _own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in tags.items() if name not in _OTHER_TAGS}


def _points(entries: Iterable[Entry]) -> Iterable[Point]:
    for entry in entries:
        if isinstance(entry, LogMetrics):
            for metric, value in entry.metrics.items():
                yield Point(metric=metric, step=entry.epoch, value=value, time_ms=entry.time_ms)


def read_review_runs(database: Path, experiment: str) -> tuple[ReviewRun, ...]:
    """Read the runs of all experiments of a name from MLflow's SQLite file, deleted ones too."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        runs = connection.execute(
            "SELECT run_uuid, runs.name, status, start_time, end_time FROM runs "
            "JOIN experiments USING (experiment_id) WHERE experiments.name = ?",
            (experiment,),
        ).fetchall()
        tags = _by_run(connection, "SELECT run_uuid, key, value FROM tags")
        params = _by_run(connection, "SELECT run_uuid, key, value FROM params")
        points = _by_run(connection, "SELECT run_uuid, key, step, value, timestamp FROM metrics")
    keys = {run_id: dict(tags.get(run_id, ())).get(RUN_KEY_TAG, "") for run_id, *_ in runs}
    return tuple(
        ReviewRun(
            run_key=keys[run_id],
            name=name,
            status=status,
            start_ms=start_ms,
            end_ms=end_ms,
            parent_key=_parent(dict(tags.get(run_id, ())), keys),
            params=dict(params.get(run_id, ())),
            tags=_own_tags(dict(tags.get(run_id, ()))),
            points=frozenset(_found_points(points.get(run_id, ()))),
        )
        for run_id, name, status, start_ms, end_ms in runs
    )


def _parent(tags: Mapping[str, str], keys: Mapping[str, str]) -> str | None:
    parent_id = tags.get("mlflow.parentRunId")
    return None if parent_id is None else keys.get(parent_id, parent_id)


def _found_points(rows: Iterable[tuple[Any, ...]]) -> Iterable[Point]:
    for metric, step, value, time_ms in rows:
        yield Point(metric=metric, step=step, value=value, time_ms=time_ms)


def _by_run(connection: sqlite3.Connection, query: str) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for run_id, *columns in connection.execute(query):
        found.setdefault(run_id, []).append(tuple(columns))
    return found
