"""Files of SQLite that several processes share."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from cluster.mlflow_server import create_store_if_missing
from study.storage.layout import StorageRoot
from study.storage.lease import lease
from study.storage.sqlite import (
    checkpoint,
    is_busy,
    network_file_system,
    sqlite_path,
    sqlite_url,
    use_write_ahead_log,
)
from study.storage.trial_store import TrialStore


def mode(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


@pytest.mark.parametrize(
    "name", ["a.db", "what?.db", "a%2Fb.db", "{x}.db", "a b#ü@c:d&e=f.db", "'\";+.db"]
)
def test_a_url_leads_back_to_its_file_and_databases_are_opened_in_it(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    url = sqlite_url(path)
    assert sqlite_path(url) == path
    assert TrialStore(url, "tiny", maximize=True).records("a", "search") == []
    with lease(StorageRoot(root=tmp_path).study("tiny"), url, print):
        pass
    create_store_if_missing(sqlite_url(tmp_path / f"mlflow-{name}"), "file:///nowhere")
    files = {file.name.removesuffix("-shm").removesuffix("-wal") for file in tmp_path.iterdir()}
    assert files == {name, "tiny", f"mlflow-{name}", f".mlflow-{name}.lock"}


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://host/studies", "sqlite://", "sqlite:///:memory:", "sqlite:/x"]
)
def test_other_urls_have_no_file(url: str) -> None:
    assert sqlite_path(url) is None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/studies/optuna.db", None),
        ("/home/me/studies/optuna.db", "nfs4"),
        ("/home/me/scratch/optuna.db", None),
        ("/mnt/the share/optuna.db", "cifs"),
        ("/over/optuna.db", "fuse.sshfs"),
    ],
)
def test_a_network_file_system_is_found_by_the_innermost_and_latest_mount(
    tmp_path: Path, path: str, kind: str | None
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "overlay / overlay rw 0 0\n"
        "server:/home /home nfs4 rw 0 0\n"
        "/dev/sdb /home/me/scratch ext4 rw 0 0\n"
        "//server/share /mnt/the\\040share cifs rw 0 0\n"
        "/dev/sdc /over ext4 rw 0 0\n"
        "me@server: /over fuse.sshfs rw 0 0\n"
    )
    assert network_file_system(Path(path), mounts) == kind
    assert network_file_system(Path(path), tmp_path / "missing") is None


def test_a_file_is_whole_alone_after_a_checkpoint_unless_it_is_in_use(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.db", tmp_path / "b.db"
    use_write_ahead_log(path)
    assert checkpoint(tmp_path / "missing.db")
    with closing(sqlite3.connect(path)) as writer, closing(sqlite3.connect(path)) as reader:
        writer.execute("CREATE TABLE t (x)")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t").fetchall()
        writer.execute("INSERT INTO t VALUES (1)")
        writer.commit()
        assert not checkpoint(path)
        reader.rollback()
        assert checkpoint(path)
        copy.write_bytes(path.read_bytes())
    with closing(sqlite3.connect(copy)) as whole:
        assert whole.execute("SELECT x FROM t").fetchall() == [(1,)]


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
