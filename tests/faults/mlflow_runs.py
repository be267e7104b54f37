"""The runs and artifacts that MLflow must hold, and those that it holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from study.tracking.mlflow_mirror import IDENTITY_TAG, RUN_KEY_TAG, table_json
from study.tracking.record_types import (
    CloseRun,
    LogArtifact,
    LogMetrics,
    LogTable,
    MlflowRecord,
    OpenRun,
    SetTags,
    decode,
)

# Name, parent, files and description of a run are checked elsewhere; the commit of the code and
# whether files differed from it may have been others when the run began.
_OTHER_TAGS: Final = (
    IDENTITY_TAG,
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
class MlflowRun:
    """A run of a trial or an arm; without a key if it is not one of the study's records."""

    run_key: str
    name: str
    status: str
    start_ms: int
    end_ms: int | None
    parent_key: str | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    points: frozenset[Point]


def expected_runs(records: Iterable[MlflowRecord]) -> dict[str, MlflowRun]:
    """Return the runs that MLflow must have once it has these records, by key."""
    by_run: dict[str, list[MlflowRecord]] = {}
    for record in records:
        if record.run_key is not None:
            by_run.setdefault(record.run_key, []).append(record)
    return {key: _expected(key, of_run) for key, of_run in by_run.items()}


def _expected(run_key: str, records: list[MlflowRecord]) -> MlflowRun:
    (opening,) = (record for record in records if isinstance(record, OpenRun))
    closings = [record for record in records if isinstance(record, CloseRun)]
    closing = closings[-1] if closings else None
    set_tags = {
        k: v for record in records if isinstance(record, SetTags) for k, v in record.tags.items()
    }
    return MlflowRun(
        run_key=run_key,
        name=opening.name,
        status=closing.status if closing else "RUNNING",
        start_ms=opening.start_ms,
        end_ms=closing.end_ms if closing else None,
        parent_key=opening.parent_key,
        params=opening.params,
        tags=_own_tags({**opening.tags, **(closing.tags if closing else {}), **set_tags}),
        points=frozenset(
            Point(metric=metric, step=record.epoch, value=value, time_ms=record.time_ms)
            for record in records
            if isinstance(record, LogMetrics)
            for metric, value in record.metrics.items()
        ),
    )


def _own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in tags.items() if name not in _OTHER_TAGS}


def read_mlflow_runs(database: Path, experiment: str) -> tuple[MlflowRun, ...]:
    """Read the runs of all experiments of a name from MLflow's SQLite file, deleted ones too."""
    runs = _rows(
        database,
        "SELECT run_uuid, runs.name, status, start_time, end_time FROM runs "
        "JOIN experiments USING (experiment_id) WHERE experiments.name = ?",
        experiment,
    )
    tags = {run_id: dict(rows) for run_id, rows in _by_run(database, "key, value", "tags").items()}
    params = _by_run(database, "key, value", "params")
    points = _by_run(database, "key, step, value, timestamp", "metrics")
    keys = {run_id: tags.get(run_id, {}).get(RUN_KEY_TAG, "") for run_id, *_ in runs}
    return tuple(
        MlflowRun(
            run_key=keys[run_id],
            name=name,
            status=status,
            start_ms=start_ms,
            end_ms=end_ms,
            parent_key=_parent(tags.get(run_id, {}), keys),
            params=dict(params.get(run_id, ())),
            tags=_own_tags(tags.get(run_id, {})),
            points=frozenset(
                Point(metric=metric, step=step, value=value, time_ms=time_ms)
                for metric, step, value, time_ms in points.get(run_id, ())
            ),
        )
        for run_id, name, status, start_ms, end_ms in runs
    )


def _parent(tags: Mapping[str, str], keys: Mapping[str, str]) -> str | None:
    parent_id = tags.get("mlflow.parentRunId")
    return None if parent_id is None else keys.get(parent_id, parent_id)


def _by_run(database: Path, columns: str, table: str) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for run_id, *values in _rows(database, f"SELECT run_uuid, {columns} FROM {table}"):
        found.setdefault(run_id, []).append(tuple(values))
    return found


# The scheme of addresses below the folder that MLflow's server was started with.
_SERVED: Final = "mlflow-artifacts"


def missing_artifacts(outbox: Path, database: Path, artifacts: Path) -> Iterator[str]:
    """Yield the files that were queued and are not in MLflow as they should be.

    The outbox keeps what was delivered.
    """
    roots = _roots(database, artifacts)
    for run_id, record in _queued(outbox):
        path, content = _expected_artifact(record)
        found = roots[run_id] / path if run_id in roots else None
        if found is None or not found.is_file() or found.read_bytes() != content:
            yield f"{record.run_key} {path}"


def _expected_artifact(record: LogArtifact | LogTable) -> tuple[str, bytes | None]:
    if isinstance(record, LogTable):
        return record.name, table_json(record).encode()
    content = None
    with suppress(FileNotFoundError):
        content = Path(record.path).read_bytes()
    return str(Path(record.artifact_folder, Path(record.path).name)), content


def _queued(outbox: Path) -> Iterator[tuple[str, LogArtifact | LogTable]]:
    query = (
        "SELECT run_id, payload FROM record LEFT JOIN run USING (run_key) "
        "WHERE kind IN ('artifact', 'table') ORDER BY seq"
    )
    for run_id, payload in _rows(outbox, query):
        record = decode(payload)
        if isinstance(record, LogArtifact | LogTable):
            yield run_id, record


def _roots(database: Path, artifacts: Path) -> dict[str, Path]:
    found = {}
    for run_id, uri in _rows(database, "SELECT run_uuid, artifact_uri FROM runs"):
        scheme, _, path, *_ = urlsplit(uri)
        found[run_id] = artifacts / path.lstrip("/") if scheme == _SERVED else Path(path)
    return found


def _rows(database: Path, query: str, *values: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        return connection.execute(query, values).fetchall()
