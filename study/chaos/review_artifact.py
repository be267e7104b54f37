"""Files that MLflow keeps: whether each that was queued is there, byte for byte."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from study.tracking.entries import Entry, LogArtifact, LogTable, decode
from study.tracking.review_copy import table_json

# MLflow's server hands out addresses below the folder that it was started with.
_SERVED: Final = "mlflow-artifacts"


def lost_artifacts(outbox: Path, database: Path, artifacts: Path) -> Iterator[str]:
    """Name the files that were queued and are not in MLflow as they should be.

    Args:
        outbox: The study's outbox, which keeps what was delivered.
        database: MLflow's SQLite file.
        artifacts: Where MLflow's server keeps files.
    """
    roots = _roots(database, artifacts)
    for run_id, entry in _queued(outbox):
        path, content = _expected(entry)
        found = roots[run_id] / path if run_id in roots else None
        if found is None or not found.is_file() or found.read_bytes() != content:
            yield f"{entry.run_key} {path}"


def _expected(entry: LogArtifact | LogTable) -> tuple[str, bytes | None]:
    if isinstance(entry, LogTable):
        return entry.name, table_json(entry).encode()
    content = None
    with suppress(FileNotFoundError):
        content = Path(entry.path).read_bytes()
    return str(Path(entry.artifact_folder, Path(entry.path).name)), content


def _queued(outbox: Path) -> Iterator[tuple[str, LogArtifact | LogTable]]:
    query = (
        "SELECT run_id, kind, payload FROM entry LEFT JOIN run USING (run_key) "
        "WHERE kind IN ('artifact', 'table') ORDER BY seq"
    )
    for run_id, kind, payload in _rows(outbox, query):
        entry: Entry = decode(kind, payload)
        if isinstance(entry, LogArtifact | LogTable):
            yield run_id, entry


def _roots(database: Path, artifacts: Path) -> dict[str, Path]:
    found = {}
    for run_id, uri in _rows(database, "SELECT run_uuid, artifact_uri FROM runs"):
        scheme, _, path, *_ = urlsplit(uri)
        found[run_id] = artifacts / path.lstrip("/") if scheme == _SERVED else Path(path)
    return found


def _rows(database: Path, query: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        return connection.execute(query).fetchall()
