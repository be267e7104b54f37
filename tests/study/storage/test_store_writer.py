"""Writes to the trial store: in order, once, however long the database is unavailable."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import OperationalError

from search_spaces import FloatDimension, Space
from study.records.errors import StoreError
from study.storage.database import is_transient, permanent_error
from study.storage.sqlite import sqlite_url
from study.storage.store_writer import StoreWriter
from study.storage.trial_store import SamplerSettings
from tests.support.direct_trial_store import DirectTrialStore
from tests.support.disk import Disk
from tests.support.simulated import empty_database

SPACE = Space(dimensions={"alpha": FloatDimension(low=0.1, high=2.0)}, fixed={})
RANDOM = SamplerSettings(name="random", seed=3, startup_trials=1)
TIMEOUT_S = 300.0


class Unavailable:
    """A database that answers after a number of failures."""

    def __init__(self, failures: int) -> None:
        self.left = failures
        self.done: list[int] = []

    def job(self, number: int) -> Callable[[], int]:
        def do() -> int:
            if self.left:
                self.left -= 1
                raise OperationalError("UPDATE", {}, Exception("server closed the connection"))
            self.done.append(number)
            return number

        return do


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.storage.store_writer._INITIAL_BACKOFF_S", 0.01)


def test_a_call_returns_when_its_job_is_done() -> None:
    writer, database = StoreWriter(wait_s=TIMEOUT_S), Unavailable(0)
    for number in range(5):
        assert writer.call(database.job(number)).done()
    assert database.done == [0, 1, 2, 3, 4]
    assert writer.is_idle


def test_calls_to_an_unavailable_database_are_executed_in_order_when_it_is_back() -> None:
    said: list[str] = []
    writer, database = StoreWriter(said.append, wait_s=0.0), Unavailable(4)
    futures = [writer.call(database.job(number)) for number in range(5)]
    assert writer.flush()
    assert database.done == [future.result() for future in futures] == [0, 1, 2, 3, 4]
    assert said[0] == (
        "the Optuna database does not answer (server closed the connection); trials run on, "
        "and their results are stored in it when it is back."
    )
    assert len(said) == 2
    assert said[1].startswith("the Optuna database answers again, after ")


def test_a_call_behind_a_late_one_does_not_wait() -> None:
    gate = threading.Event()
    # A timeout of years: the test would not end if the second one waited too.
    writer = StoreWriter(wait_s=0.0)
    slow: Future[bool] = writer.call(gate.wait)
    writer._wait_s = 1e8
    second = writer.call(lambda: "done")
    assert not second.done()
    assert not writer.flush(0.0)
    gate.set()
    assert writer.flush()
    assert (slow.result(), second.result()) == (True, "done")


def test_an_enqueued_item_is_not_waited_for_but_a_call_waits_for_all_of_them() -> None:
    gate, done = threading.Event(), []
    writer = StoreWriter(wait_s=TIMEOUT_S)

    def slow(numbers: list[int]) -> None:
        gate.wait()
        done.extend(numbers)

    enqueued = [writer.enqueue(slow, number) for number in range(3)]
    assert not any(future.done() for future in enqueued)
    gate.set()
    # Enqueued items do not make the thread late.
    assert writer.call(lambda: list(done)).result() == [0, 1, 2]
    assert [future.result() for future in enqueued] == [None] * 3


@pytest.fixture
def long_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.storage.store_writer._BATCH_WINDOW_S", TIMEOUT_S)


@pytest.mark.usefixtures("long_window")
def test_items_are_written_together_until_a_call() -> None:
    written: list[object] = []
    writer = StoreWriter(wait_s=TIMEOUT_S)
    for number in range(5):
        writer.enqueue(written.append, number)
    writer.call(lambda: written.append("first"))
    writer.call(lambda: written.append("second"))
    writer.enqueue(written.append, 5)
    writer.call(lambda: written.append("third"))
    assert written == [[0, 1, 2, 3, 4], "first", "second", [5], "third"]


def test_items_are_written_after_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.storage.store_writer._BATCH_WINDOW_S", 0.01)
    written: list[list[int]] = []
    writer = StoreWriter(wait_s=TIMEOUT_S)
    for number in range(3):
        writer.enqueue(written.append, number).result(TIMEOUT_S)
    assert written == [[0], [1], [2]]


@pytest.mark.usefixtures("long_window")
def test_the_last_items_are_written_before_the_thread_ends() -> None:
    written: list[list[int]] = []
    writer = StoreWriter(wait_s=TIMEOUT_S)
    writer.enqueue(written.append, 0)
    thread = writer._thread
    del writer
    thread.join(TIMEOUT_S)
    assert written == [[0]]


@pytest.mark.usefixtures("long_window")
def test_items_that_failed_are_written_together_when_the_database_is_back() -> None:
    writer, database = StoreWriter(wait_s=0.0), Unavailable(4)
    written: list[list[int]] = []

    def write(numbers: list[int]) -> None:
        database.job(numbers[0])()
        written.append(numbers)

    for number in range(3):
        writer.enqueue(write, number)
    writer.call(database.job(7))
    assert writer.flush()
    assert written == [[0, 1, 2]]
    assert database.done == [0, 7]


def test_an_error_that_is_not_transient_is_raised_by_every_later_call() -> None:
    def wrong() -> None:
        raise ValueError("a bug")

    writer = StoreWriter(wait_s=TIMEOUT_S)
    for _ in range(2):
        with pytest.raises(ValueError, match="a bug"):
            writer.call(wrong)
    with pytest.raises(ValueError, match="a bug"):
        writer.flush()


def test_a_postgresql_that_is_killed_and_started_again_gets_every_write_once(
    postgres, postgres_url: str
) -> None:
    store = DirectTrialStore(postgres_url, "tiny", maximize=True)
    unavailable = threading.Event()
    writer = StoreWriter(
        lambda text: unavailable.set() if "does not answer" in text else None, wait_s=0.0
    )
    first = writer.call(lambda: store.ask("a", 0, SPACE, RANDOM)).result(TIMEOUT_S)
    postgres.kill()
    try:
        writer.call(lambda: store.report_one(first.key, 1, 0.5))
        second = writer.call(lambda: store.ask("a", 1, SPACE, RANDOM))
        writer.call(lambda: store.complete(first.key, 0.75))
        assert unavailable.wait(TIMEOUT_S)
        assert not writer.is_idle
    finally:
        postgres.start()
    assert writer.flush(TIMEOUT_S)
    records = DirectTrialStore(postgres_url, "tiny", maximize=True).records("a", "search")
    assert [record.state for record in records] == ["COMPLETE", "RUNNING"]
    assert records[1] == second.result()


def test_a_locked_sqlite_file_is_waited_for(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("study.storage.database._BUSY_TIMEOUT_S", 0.05)
    path = tmp_path / "optuna.db"
    path.write_bytes(empty_database())
    store = DirectTrialStore(sqlite_url(path), "tiny", maximize=True)
    key = store.ask("a", 0, SPACE, RANDOM).key
    said = threading.Event()
    writer = StoreWriter(lambda _: said.set(), wait_s=0.0)
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        writer.call(lambda: store.complete(key, 0.5))
        assert said.wait(TIMEOUT_S)
        other.execute("ROLLBACK")
    other.close()
    assert writer.flush(TIMEOUT_S)
    assert store.record(key).value == 0.5


def test_a_full_disk_is_not_transient(disk: Disk) -> None:
    path = disk.path / "optuna.db"
    path.write_bytes(empty_database())
    store = DirectTrialStore(sqlite_url(path), "tiny", maximize=True)
    key = store.ask("a", 0, SPACE, RANDOM).key
    disk.fill()
    writer = StoreWriter(wait_s=TIMEOUT_S)
    with pytest.raises(StorageInternalError) as failed:
        writer.call(lambda: store.fail(key, "x" * 1_000_000))
    assert not is_transient(failed.value)
    error = permanent_error(failed.value)
    assert isinstance(error, StoreError)
    assert str(error) == (
        "the Optuna database must be writable while its study runs, but: database or disk is "
        "full; free some space, or restore the file and its permissions."
    )
