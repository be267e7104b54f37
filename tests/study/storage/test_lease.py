"""One process runs a study at a time; a process that ends, however it ends, releases it."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import queue
import secrets
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from cluster.postgres import PostgresServer
from study.records.errors import BusyError, StoreError
from study.storage import lease as module
from study.storage.layout import StudyFolder
from study.storage.lease import LeaseTiming, is_running, lease
from study.storage.lease_table import (
    LeaseHolder,
    LeaseRow,
    current_process,
    lease_holder,
    open_lease_row,
)
from study.storage.sqlite import sqlite_url
from tests.study.storage.lease_process import LONG_TIMING, TIMING, LeaseProcess

ELSEWHERE = replace(current_process(), host="nodeB", pid_namespace="nodeB/1/2", pid=77)
REMEDY = "; wait for it, or stop it with Ctrl-C and start again."


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "optuna.db")
    text: str = request.getfixturevalue("postgres_url")
    return text


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    """Return the URL of an SQLite file, for tests that hold for any database."""
    return sqlite_url(tmp_path / "optuna.db")


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return StudyFolder(path=tmp_path / "tiny")


@pytest.fixture
def other_storage(tmp_path: Path) -> StudyFolder:
    """Return the same study's folder in the storage of another machine."""
    return StudyFolder(path=tmp_path / "other" / "tiny")


@pytest.fixture
def starter() -> Iterator[LeaseProcess]:
    """Yield a process of this machine."""
    with LeaseProcess() as process:
        yield process


@pytest.fixture
def distant() -> Iterator[LeaseProcess]:
    """Yield a process that claims another machine."""
    with LeaseProcess() as process:
        process.machine = "nodeC"
        yield process


@pytest.fixture(scope="module")
def crowd() -> Iterator[tuple[LeaseProcess, ...]]:
    """Yield processes for several tests, since each takes a second to start."""
    with ExitStack() as stack:
        yield tuple(stack.enter_context(LeaseProcess()) for _ in range(4))


@pytest.fixture
def mortal_url(postgres: PostgresServer) -> Iterator[str]:
    """Return the URL of a new database whose server may be killed."""
    name = f"test_{secrets.token_hex(8)}"
    address = postgres.url.replace("+psycopg", "")
    for command, is_first in ((f"CREATE DATABASE {name}", True), (f"DROP DATABASE {name}", False)):
        with psycopg.connect(address, autocommit=True) as control:
            control.execute(command)
        if is_first:
            yield postgres.database_url(name)
            postgres.start()


def held(
    folder: StudyFolder,
    url: str,
    waits: list[str] | None = None,
    lost: list[str] | None = None,
) -> AbstractContextManager[None]:
    """Hold a study in this process, fast."""
    on_lost = ([] if lost is None else lost).append
    on_wait = ([] if waits is None else waits).append
    return lease(folder, url, on_lost, on_wait, timing=LeaseTiming(**TIMING))


def hold(process: LeaseProcess, folder: StudyFolder, url: str) -> None:
    process.start(folder.path, url)
    assert process.heard() == "held"


def holder_of(url: str) -> LeaseHolder:
    there = lease_holder(url, "tiny")
    assert there is not None
    return there


def wait_for_renewal(url: str) -> None:
    before = holder_of(url).renewals
    while holder_of(url).renewals == before:
        time.sleep(0.02)


# On one machine.


def test_a_second_process_is_refused_with_host_and_process_of_the_first(
    folder: StudyFolder, url: str, starter: LeaseProcess
) -> None:
    hold(starter, folder, url)
    assert is_running(folder)
    with pytest.raises(BusyError) as refused, held(folder, url):
        pass
    text = str(refused.value)
    start = f"study 'tiny' is being run by process {starter.pid} on {socket.gethostname()} since 2"
    assert text.startswith(start)
    assert text.endswith(REMEDY)


def test_a_suspended_process_of_this_machine_is_not_replaced(
    folder: StudyFolder, other_storage: StudyFolder, file_url: str, starter: LeaseProcess
) -> None:
    hold(starter, folder, file_url)
    starter.send(signal.SIGSTOP)
    with pytest.raises(BusyError), held(other_storage, file_url):
        pass


def test_a_refusal_leaves_the_owner_as_it_was(
    folder: StudyFolder, other_storage: StudyFolder, url: str, starter: LeaseProcess
) -> None:
    hold(starter, folder, url)
    before = folder.lock.read_text()
    for place in (folder, other_storage):
        with pytest.raises(BusyError), held(place, url):
            pass
    assert folder.lock.read_text() == before
    wait_for_renewal(url)
    starter.release()
    assert starter.heard() == "left"


def test_a_killed_process_holds_nothing(
    folder: StudyFolder, other_storage: StudyFolder, url: str, starter: LeaseProcess
) -> None:
    hold(starter, folder, url)
    starter.end()
    assert not is_running(folder)
    for place in (other_storage, folder):
        waits: list[str] = []
        with held(place, url, waits=waits):
            assert holder_of(url).owner == current_process()
        assert waits == []


def test_a_study_can_be_held_again_and_again(folder: StudyFolder, url: str) -> None:
    assert not is_running(folder)
    for _ in range(2):
        with held(folder, url):
            assert is_running(folder)
            assert str(os.getpid()) in folder.lock.read_text()
            assert holder_of(url).owner == current_process()
        assert not is_running(folder)
        with open_lease_row(url, "tiny") as row:
            assert row.read() is None


def test_an_empty_lock_file_still_refuses(
    folder: StudyFolder, file_url: str, starter: LeaseProcess
) -> None:
    hold(starter, folder, file_url)
    folder.lock.write_text("")
    with (
        pytest.raises(BusyError, match="is being run by another process; wait"),
        held(folder, file_url),
    ):
        pass


def test_a_status_check_does_not_keep_a_study_from_starting(
    folder: StudyFolder, tmp_path: Path
) -> None:
    folder.path.mkdir()
    folder.lock.touch()
    with folder.lock.open() as file:
        # As is_running does for a moment.
        fcntl.flock(file, fcntl.LOCK_SH)
        end = threading.Timer(0.1, fcntl.flock, (file, fcntl.LOCK_UN))
        end.start()
        with held(folder, sqlite_url(tmp_path / "optuna.db")):
            assert is_running(folder)
        end.join()


@pytest.mark.parametrize(("folder_mode", "mode"), [(0o755, 0o600), (0o770, 0o660)])
def test_the_lock_is_open_to_those_alone_who_may_write_the_folder(
    folder: StudyFolder, tmp_path: Path, folder_mode: int, mode: int
) -> None:
    folder.path.mkdir()
    folder.path.chmod(folder_mode)
    # As an earlier version left it.
    folder.lock.touch(0o644)
    with held(folder, sqlite_url(tmp_path / "optuna.db")):
        assert folder.lock.stat().st_mode & 0o777 == mode


def test_a_lock_of_another_user_is_not_looked_into(
    folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    folder.path.mkdir()
    monkeypatch.setattr(Path, "open", refuse)
    assert not is_running(folder)
    monkeypatch.setattr(module.os, "open", refuse)
    refusal = "must be writable by who runs the study, but: Permission denied"
    with pytest.raises(StoreError, match=refusal), held(folder, "sqlite:///unused.db"):
        pass


def test_a_file_system_without_locks_is_named(
    folder: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StoreError) as refused, held(folder, sqlite_url(tmp_path / "optuna.db")):
        pass
    assert str(refused.value) == (
        f"{folder.lock} must lie on a file system that can lock files, but: No locks available; "
        "mount it with locks, or name another folder with --storage."
    )


# On several machines.


def test_a_process_of_another_machine_that_runs_refuses(
    folder: StudyFolder, other_storage: StudyFolder, url: str, distant: LeaseProcess
) -> None:
    hold(distant, other_storage, url)
    waits: list[str] = []
    lost: list[str] = []
    with (
        pytest.raises(BusyError) as refused,
        lease(folder, url, lost.append, waits.append, timing=LeaseTiming(**LONG_TIMING)),
    ):
        pass
    who = holder_of(url)
    assert (who.owner.pid, who.owner.host) == (distant.pid, "nodeC")
    assert str(refused.value) == f"study 'tiny' is being run by {who}{REMEDY}"
    acquired_at = who.acquired_at.isoformat()
    assert waits == [
        f"waiting up to 600 s to see whether process {distant.pid} on nodeC, which has held study "
        f"'tiny' since {acquired_at}, still runs."
    ]
    assert lost == []


def test_a_lease_released_while_it_is_watched_is_acquired_at_once(
    folder: StudyFolder, url: str
) -> None:
    with open_lease_row(url, "tiny") as row:
        row.insert(ELSEWHERE, "token")
        # Were it waited for to the end, the test would time out.
        timing = LeaseTiming(**LONG_TIMING)
        with lease(folder, url, lambda _: None, lambda _: row.release("token"), timing=timing):
            assert holder_of(url).owner == current_process()


def test_a_process_that_replaces_a_watched_holder_first_is_watched_next(
    folder: StudyFolder, url: str
) -> None:
    waits: list[str] = []
    with open_lease_row(url, "tiny") as row:
        row.insert(ELSEWHERE, "first")
        # The other one's count starts at zero, which is no renewal of the first.
        row.renew("first")

        def replace_first(text: str) -> None:
            waits.append(text)
            there = row.read()
            assert there is not None
            row.replace(there, replace(ELSEWHERE, pid=78), "second")

        with lease(folder, url, lambda _: None, replace_first, timing=LeaseTiming(**TIMING)):
            assert holder_of(url).owner == current_process()
    assert len(waits) == 1


def test_a_holder_that_renews_at_the_last_moment_is_not_replaced(
    folder: StudyFolder, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[str] = []

    def watch(row: LeaseRow, found: LeaseHolder, _: LeaseTiming) -> bool:
        watched.append(found.token)
        if len(watched) == 1:
            row.renew(found.token)
        return False

    monkeypatch.setattr("study.storage.lease._was_renewed", watch)
    with open_lease_row(url, "tiny") as row:
        row.insert(ELSEWHERE, "token")
        with held(folder, url):
            assert watched == ["token", "token"]


def test_waiting_can_be_interrupted(
    folder: StudyFolder, file_url: str, starter: LeaseProcess
) -> None:
    with open_lease_row(file_url, "tiny") as row:
        row.insert(ELSEWHERE, "token")
        starter.start(folder.path, file_url, LONG_TIMING)
        assert starter.heard().startswith("waits waiting up to 600 s")
        assert is_running(folder)
        starter.send(signal.SIGINT)
        assert starter.heard() == "interrupted"
        assert not is_running(folder)
        there = row.read()
        assert there is not None
        assert there.token == "token"


def test_a_suspended_process_is_told_which_process_took_its_study_over(
    folder: StudyFolder, other_storage: StudyFolder, url: str, distant: LeaseProcess
) -> None:
    hold(distant, other_storage, url)
    distant.send(signal.SIGSTOP)
    lost: list[str] = []
    with held(folder, url, lost=lost):
        who = holder_of(url)
        distant.send(signal.SIGCONT)
        assert distant.heard() == (
            f"lost study 'tiny' was taken over by {who}, because process {distant.pid} on nodeC "
            "was suspended, or cut off from the database, for more than 1 s; leave it to that "
            "one, or stop that one first."
        )
        assert who.owner.pid == os.getpid()
        for _ in range(5):
            wait_for_renewal(url)
        distant.release()
        # It is notified once, and does not release another process's lease.
        assert distant.heard() == "left"
        wait_for_renewal(url)
    assert lost == []


def test_a_study_that_was_taken_over_and_released_is_lost_as_well(
    folder: StudyFolder, url: str
) -> None:
    lost: queue.SimpleQueue[str] = queue.SimpleQueue()
    with (
        open_lease_row(url, "tiny") as row,
        lease(folder, url, lost.put, timing=LeaseTiming(**TIMING)),
    ):
        row.release(holder_of(url).token)
        assert lost.get() == (
            "study 'tiny' was taken over by another process, which has ended since, because "
            f"{current_process()} was suspended, or cut off from the database, for more than 1 s; "
            "start it again."
        )


# At the same moment.


@pytest.mark.parametrize(
    ("before", "machine", "n_rounds"),
    [
        ("none", None, 6),
        # Who may replace a killed one is decided by the same statement.
        pytest.param("killed", None, 12, marks=pytest.mark.extended),
        pytest.param("expired", "node", 3, marks=pytest.mark.extended),
    ],
)
def test_of_several_that_start_at_the_same_moment_exactly_one_acquires_the_study(
    tmp_path: Path,
    url: str,
    crowd: tuple[LeaseProcess, ...],
    before: str,
    machine: str | None,
    n_rounds: int,
) -> None:
    with open_lease_row(url, "tiny") as row:
        for number in range(n_rounds):
            if before != "none":
                row.insert(
                    replace(ELSEWHERE if machine else current_process(), start_time="1"), "token"
                )
            for n, process in enumerate(crowd):
                process.machine = machine and f"{machine}{n}"
                process.start(tmp_path / f"storage{number}{n}" / "tiny", url)
            answers = [_outcome(process) for process in crowd]
            assert sorted(answer.split()[0] for answer in answers) == ["held", *["refused"] * 3]
            winner = crowd[answers.index("held")]
            assert all(f"process {winner.pid} on" in text for text in answers if text != "held")
            winner.release()
            assert winner.heard() == "left"


def _outcome(process: LeaseProcess) -> str:
    while (said := process.heard()).startswith("waits"):
        pass
    return said


# With a database that fails.


def test_a_holder_keeps_its_study_when_the_database_was_unavailable(
    folder: StudyFolder, postgres: PostgresServer, mortal_url: str, starter: LeaseProcess
) -> None:
    hold(starter, folder, mortal_url)
    wait_for_renewal(mortal_url)
    postgres.kill()
    time.sleep(4 * TIMING["renew_s"])
    postgres.start()
    wait_for_renewal(mortal_url)
    starter.release()
    assert starter.heard() == "left"
    with open_lease_row(mortal_url, "tiny") as row:
        assert row.read() is None
    assert starter.end() == ""


def test_a_lease_is_released_after_the_database_was_unavailable_since_its_last_renewal(
    folder: StudyFolder, postgres: PostgresServer, mortal_url: str, starter: LeaseProcess
) -> None:
    starter.start(folder.path, mortal_url, {**TIMING, "renew_s": 600.0})
    assert starter.heard() == "held"
    postgres.kill()
    postgres.start()
    starter.release()
    assert starter.heard() == "left"
    with open_lease_row(mortal_url, "tiny") as row:
        assert row.read() is None


def test_an_unavailable_database_does_not_hide_why_a_run_failed(
    folder: StudyFolder,
    postgres: PostgresServer,
    mortal_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, logger="study")

    def fail() -> None:
        postgres.kill()
        while "lease of tiny not renewed" not in caplog.text:
            time.sleep(0.02)
        raise KeyError

    with pytest.raises(KeyError), held(folder, mortal_url):
        fail()
    postgres.start()
    assert "lease of tiny not released: " in caplog.text
    assert {record.levelname for record in caplog.records} == {"DEBUG"}
    assert mortal_url.split(":")[2].split("@")[0] not in caplog.text
    # Its row is still there, and the same process holds the study again all the same.
    before = holder_of(mortal_url)
    assert before.owner == current_process()
    with held(folder, mortal_url):
        assert holder_of(mortal_url).token != before.token


def test_a_database_that_hangs_does_not_keep_a_run_from_ending(
    folder: StudyFolder,
    url: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_RELEASE_TIMEOUT_S", 0.2)
    with held(folder, url):
        hanging = _hanging(url, request)
        hanging.__enter__()
    # This line is reached before it answers again.
    (thread,) = (t for t in threading.enumerate() if t.name.startswith("heartbeat"))
    hanging.__exit__(None, None, None)
    thread.join()
    assert lease_holder(url, "tiny") is None


def test_a_process_does_not_replace_itself(
    folder: StudyFolder, other_storage: StudyFolder, file_url: str
) -> None:
    with (
        held(folder, file_url),
        pytest.raises(BusyError, match=f"process {os.getpid()} on"),
        held(other_storage, file_url),
    ):
        pass


@contextmanager
def _hanging(url: str, request: pytest.FixtureRequest) -> Iterator[None]:
    """Let a database answer nothing."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)) as database:
            database.execute("BEGIN IMMEDIATE")
            yield
        return
    processes = request.getfixturevalue("postgres").pids()
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    yield
    for process in processes:
        os.kill(process, signal.SIGCONT)


def test_a_database_that_fails_while_a_holder_is_watched_is_named(
    folder: StudyFolder, tmp_path: Path
) -> None:
    url = sqlite_url(tmp_path / "optuna.db")
    with open_lease_row(url, "tiny") as row:
        row.insert(ELSEWHERE, "token")
        connection = sqlite3.connect(tmp_path / "optuna.db", timeout=30)

    def damage(_: str) -> None:
        with closing(connection):
            connection.execute("DROP TABLE challenger_lease")

    with (
        pytest.raises(StoreError, match=r"optuna\.db cannot be opened: no such table"),
        lease(folder, url, lambda _: None, damage, timing=LeaseTiming(**TIMING)),
    ):
        pass
    assert not is_running(folder)
