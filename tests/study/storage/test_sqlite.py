"""Files of SQLite that several processes share."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from study.storage.sqlite import is_busy, sqlite_path, sqlite_url, use_write_ahead_log


def mode(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def test_a_url_leads_back_to_its_file(tmp_path: Path) -> None:
    assert sqlite_path(sqlite_url(tmp_path / "a.db")) == tmp_path / "a.db"
    assert sqlite_path("postgresql+psycopg://host/studies") is None


def test_a_new_file_logs_ahead_of_its_writes_however_many_make_it(tmp_path: Path) -> None:
    n_rounds, n_threads = 100, 6
    gate = threading.Barrier(n_threads)

    def make(path: Path) -> str:
        gate.wait()
        use_write_ahead_log(path)
        return mode(path)

    with ThreadPoolExecutor(n_threads) as threads:
        for number in range(n_rounds):
            new = tmp_path / f"{number}.db"
            done = [threads.submit(make, new) for _ in range(n_threads)]
            assert {each.result() for each in done} == {"wal"}


def test_a_file_that_others_write_is_busy_and_a_wrong_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as writer, closing(sqlite3.connect(path, 0)) as other:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError) as refused:
            other.execute("PRAGMA journal_mode=WAL")
    assert is_busy(refused.value)

    monkeypatch.delattr("time.sleep")
    path.write_text("no database, but a text that is longer than the header of one would be" * 20)
    with pytest.raises(sqlite3.DatabaseError) as refused:
        use_write_ahead_log(path)
    assert not is_busy(refused.value)
    assert not is_busy(OSError())
