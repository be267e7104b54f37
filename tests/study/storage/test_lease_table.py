"""The table of leases, and the identity of processes in it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import inspect

from study.records.errors import StoreError
from study.storage import lease_table as module
from study.storage.lease_table import (
    LeaseHolder,
    LeaseRow,
    ProcessIdentity,
    current_process,
    is_alive,
    lease_holder,
    open_lease_row,
)
from study.storage.sqlite import sqlite_url


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def owner_of(process: subprocess.Popen[bytes]) -> ProcessIdentity:
    start_time = module._start_time(process.pid)
    assert start_time
    return replace(current_process(), pid=process.pid, start_time=start_time)


def test_a_suspended_process_still_runs(child: subprocess.Popen[bytes]) -> None:
    owner = owner_of(child)
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED)
    assert is_alive(owner, current_process()) is True


def test_a_killed_process_has_ended_whether_or_not_it_was_waited_for(
    child: subprocess.Popen[bytes],
) -> None:
    owner = owner_of(child)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_alive(owner, current_process()) is False
    child.wait()
    assert is_alive(owner, current_process()) is False


def test_another_process_under_the_same_id_is_not_the_same(
    child: subprocess.Popen[bytes],
) -> None:
    assert is_alive(replace(owner_of(child), start_time="1"), current_process()) is False


def test_a_hidden_process_may_be_alive(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = owner_of(child)
    assert is_alive(replace(owner, pid_namespace="elsewhere"), current_process()) is None
    assert is_alive(replace(owner, start_time=""), current_process()) is None
    me = current_process()
    monkeypatch.setattr(module, "_start_time", lambda _: None)
    assert is_alive(owner, me) is None


def test_another_users_process_is_seen_to_run(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(process: int, number: int) -> None:
        raise PermissionError(process, number)

    owner = owner_of(child)
    monkeypatch.setattr(os, "kill", refuse)
    assert is_alive(owner, current_process()) is True


def test_without_proc_no_machine_is_taken_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(module.Path, "read_text", refuse)
    monkeypatch.setattr(module.psutil, "Process", refuse)
    names = {module._pid_namespace.__wrapped__() for _ in range(2)}
    assert len(names) == 2
    assert current_process().start_time == ""


HERE = current_process()
ELSEWHERE = replace(HERE, host="nodeB", pid_namespace="nodeB/1/2", pid=77)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "optuna.db")
    text: str = request.getfixturevalue("postgres_url")
    return text


def found(row: LeaseRow) -> LeaseHolder:
    there = row.read()
    assert there is not None
    return there


def test_a_holder_is_read_with_its_process_and_times(url: str) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    with open_lease_row(url, "tiny") as row:
        assert row.read() is None
        assert row.insert(ELSEWHERE, "token")
        there = found(row)
    assert (there.owner, there.token, there.renewals) == (ELSEWHERE, "token", 0)
    assert before <= there.acquired_at == there.renewed_at <= datetime.now(UTC)
    assert str(there) == f"process 77 on nodeB since {there.acquired_at.isoformat()}"


def test_a_held_study_is_not_acquired(url: str) -> None:
    with open_lease_row(url, "tiny") as row, open_lease_row(url, "other") as other:
        assert row.insert(ELSEWHERE, "first")
        assert not row.insert(HERE, "second")
        assert found(row).token == "first"
        assert other.insert(HERE, "second")


def test_a_renewal_is_counted_and_dated(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_lease_row(url, "tiny") as row, open_lease_row(url, "other") as other:
        row.insert(ELSEWHERE, "token")
        other.insert(ELSEWHERE, "token")
        monkeypatch.setattr("study.storage.lease_table._now", lambda: "2031-02-03T04:05:06+00:00")
        assert row.renew("token")
        assert found(row).renewals == 1
        assert found(row).renewed_at == datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
        assert found(row).acquired_at != found(row).renewed_at
        assert found(other).renewals == 0


def test_a_holder_that_does_not_renew_is_replaced(url: str) -> None:
    with open_lease_row(url, "tiny") as row, open_lease_row(url, "other") as other:
        row.insert(ELSEWHERE, "first")
        other.insert(ELSEWHERE, "first")
        assert row.replace(found(row), HERE, "second")
        assert (found(row).token, found(row).owner) == ("second", HERE)
        assert found(other).token == "first"


def test_a_holder_that_renewed_is_not_replaced(url: str) -> None:
    with open_lease_row(url, "tiny") as row:
        row.insert(ELSEWHERE, "first")
        old = found(row)
        row.renew("first")
        assert not row.replace(old, HERE, "second")
        assert found(row).token == "first"


def test_a_replaced_token_changes_nothing(url: str) -> None:
    with open_lease_row(url, "tiny") as row:
        row.insert(ELSEWHERE, "first")
        old = found(row)
        row.replace(old, HERE, "second")
        assert not row.renew("first")
        assert not row.replace(old, ELSEWHERE, "third")
        row.release("first")
        assert (found(row).token, found(row).renewals) == ("second", 0)


def test_a_released_study_has_no_holder(url: str) -> None:
    with open_lease_row(url, "tiny") as row, open_lease_row(url, "other") as other:
        row.insert(HERE, "token")
        other.insert(HERE, "token")
        row.release("token")
        assert row.read() is None
        assert found(other).token == "token"


def test_several_processes_create_the_table_at_the_same_moment(url: str) -> None:
    n_rounds, n_threads = 10, 4
    gate = threading.Barrier(n_threads)

    def make() -> None:
        gate.wait()
        with open_lease_row(url, "tiny") as row:
            assert row.read() is None

    with open_lease_row(url, "tiny") as row, ThreadPoolExecutor(n_threads) as threads:
        for _ in range(n_rounds):
            with row.engine.connect() as connection:
                connection.exec_driver_sql("DROP TABLE challenger_lease")
            for done in [threads.submit(make) for _ in range(n_threads)]:
                done.result()


def test_a_file_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "optuna.db"
    with closing(sqlite3.connect(path, check_same_thread=False)) as other:
        other.execute("CREATE TABLE study (name TEXT)")
        other.execute("BEGIN IMMEDIATE")
        end = threading.Timer(0.2, other.rollback)
        end.start()
        with open_lease_row(sqlite_url(path), "tiny") as row:
            assert row.insert(HERE, "token")
        end.join()


@pytest.mark.postgres
def test_a_user_without_the_right_to_create_tables_uses_an_existing_one(postgres_url: str) -> None:
    with open_lease_row(postgres_url, "tiny") as row:
        row.insert(ELSEWHERE, "token")
    address = postgres_url.replace("+psycopg", "")
    with closing(psycopg.connect(address, autocommit=True)) as control:
        control.execute("CREATE ROLE guest LOGIN PASSWORD 'sesame'")
        try:
            control.execute("GRANT SELECT, UPDATE ON challenger_lease TO guest")
            place = postgres_url.rpartition("@")[2]
            with open_lease_row(f"postgresql+psycopg://guest:sesame@{place}", "tiny") as row:
                assert row.renew("token")
        finally:
            control.execute("DROP OWNED BY guest")
            control.execute("DROP ROLE guest")


def test_reading_the_holder_creates_nothing(url: str, tmp_path: Path) -> None:
    assert lease_holder(url, "tiny") is None
    assert list(tmp_path.iterdir()) == []
    with open_lease_row(url, "other") as row:
        with row.engine.connect() as connection:
            connection.exec_driver_sql("DROP TABLE challenger_lease")
        assert lease_holder(url, "tiny") is None
        assert not inspect(row.engine).has_table("challenger_lease")


def test_a_holder_that_may_run_is_returned(url: str) -> None:
    with open_lease_row(url, "tiny") as row:
        for owner in (HERE, ELSEWHERE):
            row.insert(owner, "token")
            there = lease_holder(url, "tiny")
            assert there is not None
            assert there.owner == owner
            row.release("token")
        assert lease_holder(url, "tiny") is None


@pytest.mark.postgres
def test_a_wrong_password_is_not_repeated(postgres_url: str) -> None:
    place = postgres_url.rpartition("@")[2]
    with pytest.raises(StoreError, match="password authentication failed") as refused:
        lease_holder(f"postgresql+psycopg://challenger:sesame@{place}", "tiny")
    assert "sesame" not in str(refused.value)


@pytest.mark.postgres
def test_a_connection_times_out_within_a_lease_unless_the_url_sets_other_options(
    postgres_url: str,
) -> None:
    def settings(url: str) -> dict[str, str]:
        with open_lease_row(url, "tiny") as row, row.engine.connect() as connection:
            server = connection.connection.driver_connection
            assert isinstance(server, psycopg.Connection)
            return server.info.get_parameters()

    ours = {"connect_timeout": "5", "tcp_user_timeout": "6000", "keepalives_idle": "3"}
    assert ours.items() <= settings(postgres_url).items()
    theirs = settings(f"{postgres_url}?connect_timeout=9")
    assert {**ours, "connect_timeout": "9"}.items() <= theirs.items()


def test_a_process_that_has_ended_holds_nothing(url: str) -> None:
    with open_lease_row(url, "tiny") as row:
        row.insert(replace(HERE, start_time="1"), "token")
    assert lease_holder(url, "tiny") is None


@pytest.mark.postgres
def test_no_connection_outlives_its_use(postgres_url: str) -> None:
    with open_lease_row(postgres_url, "tiny") as row:
        row.insert(HERE, "token")
    assert lease_holder(postgres_url, "tiny") is not None
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    address = postgres_url.replace("+psycopg", "")
    with closing(psycopg.connect(address, autocommit=True)) as control:
        # The server takes a moment to end what served one.
        while control.execute(count).fetchone() != (1,):
            time.sleep(0.02)
