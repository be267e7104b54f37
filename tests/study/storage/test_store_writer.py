"""What the ledger is to do is done in order, once, however long its database is away."""

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
from study.storage.database import error_message, is_transient, permanent_error
from study.storage.sqlite import sqlite_url
from study.storage.store_writer import StoreWriter
from study.storage.trial_store import SamplerSettings
from tests.support.direct_trial_store import DirectTrialStore
from tests.support.disk import Disk
from tests.support.simulated import empty_database

SPACE = Space(dimensions={"alpha": FloatDimension(low=0.1, high=2.0)}, fixed={})
RANDOM = SamplerSettings(name="random", seed=3, startup_trials=1)
PATIENT_S = 300.0


class Away:
    """A database that answers after so many failures, or when it is told to."""

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
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.storage.store_writer._INITIAL_BACKOFF_S", 0.01)


def test_in_ordinary_times_a_job_is_done_when_it_was_submitted() -> None:
    writer, database = StoreWriter(wait_s=PATIENT_S), Away(0)
    for number in range(5):
        assert writer.call(database.job(number)).done()
    assert database.done == [0, 1, 2, 3, 4]
    assert writer.is_idle


def test_what_is_asked_for_while_the_database_is_away_is_done_in_order_when_it_is_back() -> None:
    said: list[str] = []
    writer, database = StoreWriter(said.append, wait_s=0.0), Away(4)
    futures = [writer.call(database.job(number)) for number in range(5)]
    assert writer.flush()
    assert database.done == [future.result() for future in futures] == [0, 1, 2, 3, 4]
    assert said[0] == (
        "the Optuna database does not answer (server closed the connection); trials run on, and "
        "it is told everything when it is back."
    )
    assert len(said) == 2
    assert said[1].startswith("the Optuna database answers again, after ")


def test_whoever_asks_while_the_thread_is_behind_goes_on_at_once() -> None:
    gate = threading.Event()
    # A patience of years: the test would not end if the second one waited too.
    writer = StoreWriter(wait_s=0.0)
    slow: Future[bool] = writer.call(gate.wait)
    writer._wait_s = 1e8
    second = writer.call(lambda: "done")
    assert not second.done()
    assert not writer.flush(0.0)
    gate.set()
    assert writer.flush()
    assert (slow.result(), second.result()) == (True, "done")


def test_nobody_waits_for_what_is_posted_and_whoever_submits_waits_for_all_of_it() -> None:
    gate, done = threading.Event(), []
    writer = StoreWriter(wait_s=PATIENT_S)

    def slow(numbers: list[int]) -> None:
        gate.wait()
        done.extend(numbers)

    posted = [writer.enqueue(slow, number) for number in range(3)]
    assert not any(future.done() for future in posted)
    gate.set()
    # What is posted does not by itself make the thread late.
    assert writer.call(lambda: list(done)).result() == [0, 1, 2]
    assert [future.result() for future in posted] == [None] * 3


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.storage.store_writer._BATCH_WINDOW_S", PATIENT_S)


@pytest.mark.usefixtures("unhurried")
def test_what_is_posted_is_taken_together_until_something_is_submitted() -> None:
    taken: list[object] = []
    writer = StoreWriter(wait_s=PATIENT_S)
    for number in range(5):
        writer.enqueue(taken.append, number)
    writer.call(lambda: taken.append("first"))
    writer.call(lambda: taken.append("second"))
    writer.enqueue(taken.append, 5)
    writer.call(lambda: taken.append("third"))
    assert taken == [[0, 1, 2, 3, 4], "first", "second", [5], "third"]


@pytest.mark.usefixtures("unhurried")
def test_each_taker_gets_its_own_in_order() -> None:
    taken: list[object] = []
    writer = StoreWriter(wait_s=PATIENT_S)
    for number in range(4):
        writer.enqueue(taken.append if number < 3 else taken.extend, number)
    writer.call(lambda: None)
    assert taken == [[0, 1, 2], 3]


def test_what_is_posted_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.storage.store_writer._BATCH_WINDOW_S", 0.01)
    taken: list[list[int]] = []
    writer = StoreWriter(wait_s=PATIENT_S)
    for number in range(3):
        writer.enqueue(taken.append, number).result(PATIENT_S)
    assert taken == [[0], [1], [2]]


@pytest.mark.usefixtures("unhurried")
def test_what_is_posted_last_is_taken_before_the_thread_ends() -> None:
    taken: list[list[int]] = []
    writer = StoreWriter(wait_s=PATIENT_S)
    writer.enqueue(taken.append, 0)
    thread = writer._thread
    del writer
    thread.join(PATIENT_S)
    assert taken == [[0]]


@pytest.mark.usefixtures("unhurried")
def test_what_a_database_did_not_live_to_take_is_taken_when_it_is_back() -> None:
    writer, database = StoreWriter(wait_s=0.0), Away(4)
    taken: list[list[int]] = []

    def take(numbers: list[int]) -> None:
        database.job(numbers[0])()
        taken.append(numbers)

    for number in range(3):
        writer.enqueue(take, number)
    writer.call(database.job(7))
    assert writer.flush()
    assert taken == [[0, 1, 2]]
    assert database.done == [0, 7]


def test_an_error_of_what_was_posted_is_raised_to_whoever_comes_next() -> None:
    def wrong(_: list[int]) -> None:
        raise ValueError("a mistake of ours")

    writer = StoreWriter(wait_s=PATIENT_S)
    writer.enqueue(wrong, 1).exception(PATIENT_S)
    with pytest.raises(ValueError, match="a mistake of ours"):
        writer.enqueue(wrong, 2)
    with pytest.raises(ValueError, match="a mistake of ours"):
        writer.call(lambda: None)


def test_an_error_that_is_no_outage_is_raised_to_whoever_asks_and_to_all_after_him() -> None:
    def wrong() -> None:
        raise ValueError("a mistake of ours")

    writer = StoreWriter(wait_s=PATIENT_S)
    for _ in range(2):
        with pytest.raises(ValueError, match="a mistake of ours"):
            writer.call(wrong)
    with pytest.raises(ValueError, match="a mistake of ours"):
        writer.flush()


def test_the_thread_ends_with_its_clerk() -> None:
    writer = StoreWriter(wait_s=PATIENT_S)
    writer.call(lambda: None)
    thread = writer._thread
    del writer
    thread.join(PATIENT_S)
    assert not thread.is_alive()


def test_a_postgresql_that_is_killed_and_started_again_is_told_everything_once(
    postgres, postgres_url: str
) -> None:
    store = DirectTrialStore(postgres_url, "tiny", maximize=True)
    away = threading.Event()
    writer = StoreWriter(
        lambda text: away.set() if "does not answer" in text else None, wait_s=0.0
    )
    first = writer.call(lambda: store.ask("a", 0, SPACE, RANDOM)).result(PATIENT_S)
    postgres.kill()
    try:
        writer.call(lambda: store.report_one(first.key, 1, 0.5))
        second = writer.call(lambda: store.ask("a", 1, SPACE, RANDOM))
        writer.call(lambda: store.complete(first.key, 0.75))
        assert away.wait(PATIENT_S)
        assert not writer.is_idle
    finally:
        postgres.start()
    assert writer.flush(PATIENT_S)
    entries = DirectTrialStore(postgres_url, "tiny", maximize=True).entries("a", "search")
    assert [entry.state for entry in entries] == ["COMPLETE", "RUNNING"]
    assert entries[1] == second.result()


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
        assert said.wait(PATIENT_S)
        other.execute("ROLLBACK")
    other.close()
    assert writer.flush(PATIENT_S)
    assert store.entry(key).value == 0.5


def test_a_full_disk_is_no_outage_and_is_said(disk: Disk) -> None:
    path = disk.path / "optuna.db"
    path.write_bytes(empty_database())
    store = DirectTrialStore(sqlite_url(path), "tiny", maximize=True)
    key = store.ask("a", 0, SPACE, RANDOM).key
    disk.fill()
    writer = StoreWriter(wait_s=PATIENT_S)
    with pytest.raises(StorageInternalError) as failed:
        writer.call(lambda: store.fail(key, "x" * 1_000_000))
    assert not is_transient(failed.value)
    error = permanent_error(failed.value)
    assert isinstance(error, StoreError)
    assert str(error) == (
        "the Optuna database must be writable while its study runs, but: database or disk is "
        "full; free some space, or restore the file and its permissions."
    )


def test_a_reason_shows_no_password_and_one_line() -> None:
    error = OperationalError("SELECT", {}, Exception("no postgresql://ann:sesame@db\nsecond line"))
    assert error_message(error) == "no postgresql://ann:***@db"


def test_a_slow_database_holds_up_nobody_but_the_first(tmp_path: Path) -> None:
    path = tmp_path / "optuna.db"
    path.write_bytes(empty_database())
    store = DirectTrialStore(sqlite_url(path), "tiny", maximize=True)
    key = store.ask("a", 0, SPACE, RANDOM).key
    slow, calls = threading.Event(), []

    def report(epoch: int) -> None:
        slow.wait(PATIENT_S)
        store.report_one(key, epoch, float(epoch))
        calls.append(epoch)

    writer = StoreWriter(wait_s=0.0)
    for epoch in range(20):
        writer.call(lambda epoch=epoch: report(epoch))
    assert calls == []
    slow.set()
    assert writer.flush(PATIENT_S)
    assert calls == list(range(20))
