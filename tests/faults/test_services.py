"""What an arena is made of: a lockable database, MLflow's server, a driver that is the program."""

from __future__ import annotations

import os
import signal
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cluster.process import session_pids
from study.records.errors import TrackingError
from tests.faults.services import Driver, SqliteDatabase
from tests.support.mlflow_server import MlflowServer


def write(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=0.1)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS t (x)")
        database.execute("INSERT INTO t VALUES (1)")


def test_a_database_with_an_outage_cannot_be_written_until_it_is_restored(tmp_path: Path) -> None:
    path = tmp_path / "optuna.db"
    write(path)
    database = SqliteDatabase(path)
    database.start()
    for _ in range(2):
        assert database.inject() == "another process locked the file"
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            write(path)
        database.restore()
        write(path)
    database.inject()
    database.stop()
    database.stop()
    write(path)
    assert database.url == f"sqlite:///{path}"
    assert database.secrets == ()


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    driver = Driver(tmp_path, lambda: {**os.environ, "COLUMNS": "80"})
    yield driver
    driver.end()


def test_a_driver_is_the_program_and_its_last_words_are_those_of_its_last_start(
    driver: Driver, tmp_path: Path
) -> None:
    driver.start("--version")
    assert driver.wait(60) is not None
    assert driver.poll() == 0
    assert driver.output().startswith("challenger-study, version ")
    driver.start("resume", "nothing", "--storage", str(tmp_path / "storage"))
    driver.wait(60)
    assert driver.poll() == 2
    assert driver.output().startswith("SpecError: there is no study 'nothing' in ")
    assert driver.n_starts == 2
    assert "version" in driver.log.read_text()


def test_a_second_start_is_one_beside_the_driver(driver: Driver) -> None:
    code, output = driver.second(60.0, "--version")
    assert code == 0
    assert output.startswith("challenger-study, version ")
    assert driver.n_starts == 0


def test_a_second_start_that_does_not_end_is_ended(driver: Driver) -> None:
    assert driver.second(0.0, "mlflow", "--port", "1") == (None, "")


def test_a_driver_can_be_waited_for_in_vain_and_killed(driver: Driver, tmp_path: Path) -> None:
    driver.start("mlflow", "--port", "0", "--help")
    driver.wait(60)
    driver.start("list", "studies", "--storage", str(tmp_path))
    assert driver.wait(0.0) is None
    assert driver.sync_process_pid() is None
    driver.signal(signal.SIGKILL)
    assert driver.wait(60) is not None
    assert driver.poll() == -signal.SIGKILL


@pytest.mark.slow
def test_an_mlflow_that_was_killed_answers_again_at_the_same_address(tmp_path: Path) -> None:
    server = MlflowServer(tmp_path / "mlflow", dict(os.environ))
    try:
        server.launch()
        server.wait()
        address = server.uri.replace(f"admin:{server.password}@", "")
        urllib.request.urlopen(f"{address}/health", timeout=10).close()
        assert server.database.exists()
        process = server.process
        assert process is not None
        server.kill()
        assert session_pids(process.pid) == ()
        server.launch()
        server.wait()
    finally:
        server.kill()


def test_an_mlflow_that_ends_before_it_answers_is_named(tmp_path: Path) -> None:
    server = MlflowServer(tmp_path / "mlflow", {})
    with pytest.raises(TrackingError) as refused:
        server.wait()
    assert str(refused.value) == (
        "MLflow's server must answer within 180 s, but did not; look at "
        f"{tmp_path}/mlflow/server.log"
    )
