from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from study.tracking import new_database
from study.tracking.address import Address
from study.tracking.new_database import make_if_missing
from study.tracking.review_copy import ReviewCopy

# MLflow's own use of what it imports.
pytestmark = pytest.mark.filterwarnings("ignore")


def connect(folder: Path) -> str:
    address = Address.of(f"sqlite:///{folder}/mlflow.db")
    return ReviewCopy(address=address, experiment="tiny", artifacts=folder / "files").connect()


def test_a_process_that_is_killed_while_it_makes_the_database_leaves_none(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=connect, args=(tmp_path,))
    process.start()
    # Its tables are being made.
    while not any(path.stat().st_size for path in tmp_path.glob(".mlflow.db.tmp")):
        assert process.is_alive()
        time.sleep(0.005)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert not (tmp_path / "mlflow.db").exists()
    assert connect(tmp_path) == connect(tmp_path)


def test_of_two_that_begin_at_the_same_moment_one_makes_it(tmp_path, monkeypatch):
    make, made = new_database._make, []

    def noted(uri: str, artifacts: Path) -> None:
        made.append(uri)
        make(uri, artifacts)
        time.sleep(0.5)

    monkeypatch.setattr(new_database, "_make", noted)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    threads = [threading.Thread(target=make_if_missing, args=(uri, tmp_path)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [f"sqlite:///{tmp_path}/.mlflow.db.tmp"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mlflow.db.lock", "mlflow.db"]


def test_a_database_that_is_there_is_not_touched(tmp_path):
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE mine (number INTEGER)")
    before = path.read_bytes()
    make_if_missing(f"sqlite:///{path}", tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "postgresql://db/mlflow"])
def test_a_server_makes_its_own(uri, tmp_path, monkeypatch):
    monkeypatch.setattr(new_database, "_make", lambda *_: pytest.fail("made"))
    make_if_missing(uri, tmp_path)
