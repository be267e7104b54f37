"""The queue of MLflow records: a SQLite file that keeps them until MLflow has them.

The driver puts records, another process sends them (``sync_process.py``). Nothing here knows
MLflow. A record has a key, so that putting it twice changes nothing; what can change (a figure,
a table, a summary) replaces its former content and is sent again.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from study.records.errors import StoreError
from study.storage.sqlite import use_write_ahead_log
from study.tracking.record_types import (
    LogMetrics,
    MlflowRecord,
    OpenRun,
    decode,
    digest,
    encode,
    part,
)

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS record (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    run_key TEXT NOT NULL,
    part TEXT NOT NULL,
    payload TEXT NOT NULL,
    digest TEXT NOT NULL,
    points INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting',
    error TEXT,
    UNIQUE (run_key, kind, part)
);
CREATE INDEX IF NOT EXISTS record_waiting ON record (seq) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS run (run_key TEXT PRIMARY KEY, run_id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS flag (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedRecord:
    """A record and its number in the queue."""

    seq: int
    record: MlflowRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedRun:
    """The record that opens a run, and the run's MLflow id once it has one."""

    seq: int
    record: OpenRun
    is_pending: bool
    run_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRecords:
    """The state of the synchronization.

    Attributes:
        records: Records that MLflow does not have yet.
        metric_points: Metric values among them.
        rejected: Records that MLflow refused for good; they are not sent again.
        last_rejection: Why the latest of them was refused, or None.
        last_error: Why the latest attempt failed, or None. Passwords are masked.
        last_error_ms: When that was, in milliseconds since 1970.
        last_sent_ms: When a record was last sent.
    """

    records: int = 0
    metric_points: int = 0
    rejected: int = 0
    last_rejection: str | None = None
    last_error: str | None = None
    last_error_ms: int | None = None
    last_sent_ms: int | None = None


@dataclass(slots=True, kw_only=True)
class Outbox:
    """The queue's file, made by the first put; may be used from several threads.

    It must lie on a local disk (SQLite's write-ahead log does not work over a network). The
    other process reads and marks while the driver puts.
    """

    path: Path
    _connection: sqlite3.Connection | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def put(self, records: Iterable[MlflowRecord]) -> None:
        """Queue records, all or none. A record that is there already, sent or not, is kept.

        An artifact, table, set of tags or close whose content differs from the one there
        replaces it, and is sent (again).

        Raises:
            StoreError: If the file cannot be written.
        """
        rows = [_row(record) for record in records]
        with self._transaction() as database:
            for row in rows:
                if row["kind"] not in {"open", "metrics"}:
                    database.execute(
                        "DELETE FROM record WHERE run_key = :run_key AND kind = :kind "
                        "AND part = :part AND digest <> :digest",
                        row,
                    )
                database.execute(
                    "INSERT INTO record (kind, run_key, part, payload, digest, points) VALUES "
                    "(:kind, :run_key, :part, :payload, :digest, :points) ON CONFLICT DO NOTHING",
                    row,
                )

    def pending(self) -> PendingRecords:
        """Count what has not been sent. A missing file is an empty queue."""
        if not self.path.exists():
            return PendingRecords()
        ((records, points),) = self._query(
            "SELECT count(*), coalesce(sum(points), 0) FROM record WHERE state = 'waiting'"
        )
        refused = self._query("SELECT error FROM record WHERE state = 'rejected' ORDER BY seq")
        flags = dict(self._query("SELECT name, value FROM flag"))
        return PendingRecords(
            records=records,
            metric_points=points,
            rejected=len(refused),
            last_rejection=refused[-1][0] if refused else None,
            last_error=flags.get("last_error"),
            last_error_ms=_number(flags.get("last_error_ms")),
            last_sent_ms=_number(flags.get("last_sent_ms")),
        )

    def next_batch(self, limit: int) -> tuple[QueuedRecord, ...]:
        """Return the oldest waiting records of the experiment and of runs that have an opening."""
        rows = self._query(
            "SELECT seq, payload FROM record WHERE state = 'waiting' AND (run_key = '' "
            "OR EXISTS (SELECT 1 FROM record AS opening WHERE opening.kind = 'open' "
            "AND opening.run_key = record.run_key)) ORDER BY seq LIMIT ?",
            limit,
        )
        return tuple(QueuedRecord(seq=seq, record=decode(text)) for seq, text in rows)

    def opening(self, run_key: str) -> QueuedRun | None:
        """Return the record that opens a run, or None if none was put."""
        rows = self._query(
            "SELECT seq, payload, state, run_id FROM record LEFT JOIN run USING (run_key) "
            "WHERE kind = 'open' AND run_key = ?",
            run_key,
        )
        for seq, payload, state, run_id in rows:
            record = decode(payload)
            assert isinstance(record, OpenRun)
            return QueuedRun(seq=seq, record=record, is_pending=state == "waiting", run_id=run_id)
        return None

    def save_run_id(self, run_key: str, run_id: str) -> None:
        """Store MLflow's id of a run."""
        self._query("INSERT OR REPLACE INTO run VALUES (?, ?)", run_key, run_id)

    def requeue_run(self, run_key: str) -> None:
        """Queue everything of a run again, because MLflow no longer has it."""
        with self._transaction() as database:
            database.execute("DELETE FROM run WHERE run_key = ?", (run_key,))
            database.execute(
                "UPDATE record SET state = 'waiting' WHERE run_key = ? AND state = 'sent'",
                (run_key,),
            )

    def requeue_all(self) -> None:
        """Queue everything again, refused records too: for a rebuild or another MLflow server."""
        with self._transaction() as database:
            database.execute("DELETE FROM run")
            database.execute("UPDATE record SET state = 'waiting', error = NULL")

    def mark_sent(self, seqs: Iterable[int], rejection: str | None = None) -> None:
        """Mark records as sent or, with MLflow's reason, as refused for good."""
        state = "sent" if rejection is None else "rejected"
        with self._transaction() as database:
            # What was replaced in the meantime has another number.
            database.executemany(
                "UPDATE record SET state = ?, error = ? WHERE seq = ?",
                [(state, rejection, seq) for seq in seqs],
            )
            _set_flag(database, f"last_{state}_ms", _now_ms())

    def save_error(self, error: str) -> None:
        """Store why an attempt failed, for ``status``."""
        with self._transaction() as database:
            _set_flag(database, "last_error", error)
            _set_flag(database, "last_error_ms", _now_ms())

    def flag(self, name: str) -> str | None:
        """Read a flag that driver and synchronizing process leave each other, or None."""
        rows = self._query("SELECT value FROM flag WHERE name = ?", name)
        return str(rows[0][0]) if rows else None

    def set_flag(self, name: str, value: str | None) -> None:
        """Write a flag, or delete it."""
        with self._transaction() as database:
            _set_flag(database, name, value)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _query(self, statement: str, *values: str | int) -> list[tuple[Any, ...]]:
        with self._transaction() as database:
            return database.execute(statement, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Run statements as one transaction; a broken file or full disk is a StoreError."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = _connect(self.path)
                try:
                    # IMMEDIATE: a deferred transaction that turns into a writer does not wait.
                    self._connection.execute("BEGIN IMMEDIATE")
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise StoreError(
                    f"{self.path}: the outbox must be a writable SQLite file on a local disk; "
                    f"got: {error}; free some space or restore the permissions, or let "
                    f"'repair {self.path.parent.name}' make it again"
                ) from error


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    use_write_ahead_log(path)
    # The lock of Outbox serializes the threads.
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(_SCHEMA)
    return connection


def _row(record: MlflowRecord) -> dict[str, str | int]:
    payload = encode(record)
    return {
        "kind": record.kind,
        "run_key": record.run_key or "",
        "part": part(record),
        "payload": payload,
        "digest": digest(record, payload),
        "points": len(record.metrics) if isinstance(record, LogMetrics) else 0,
    }


def _set_flag(database: sqlite3.Connection, name: str, value: str | None) -> None:
    database.execute("DELETE FROM flag WHERE name = ?", (name,))
    if value is not None:
        database.execute("INSERT INTO flag VALUES (?, ?)", (name, value))


def _now_ms() -> str:
    return str(time.time_ns() // 1_000_000)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
