"""The row of a study's holder, whichever database it stands in."""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import inspect

from study.errors import StoreError
from study.sqlite_file import sqlite_url
from study.store.holding import Holder, HolderRow, holder, open_row
from study.store.owner import this_process

HERE = this_process()
ELSEWHERE = replace(HERE, host="nodeB", machine="nodeB/1/2", process=77)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "optuna.db")
    text: str = request.getfixturevalue("postgres_url")
    return text


def found(row: HolderRow) -> Holder:
    there = row.read()
    assert there is not None
    return there


def test_who_holds_a_study_is_told_with_its_process_and_since_when(url: str) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    with open_row(url, "tiny") as row:
        assert row.read() is None
        assert row.enter(ELSEWHERE, "token")
        there = found(row)
    assert (there.owner, there.token, there.beat) == (ELSEWHERE, "token", 0)
    assert before <= there.since == there.last_beat <= datetime.now(UTC)
    assert str(there) == f"process 77 on nodeB since {there.since.isoformat()}"


def test_a_study_that_is_held_cannot_be_entered(url: str) -> None:
    with open_row(url, "tiny") as row, open_row(url, "other") as other:
        assert row.enter(ELSEWHERE, "first")
        assert not row.enter(HERE, "second")
        assert found(row).token == "first"
        assert other.enter(HERE, "second")


def test_a_beat_is_counted_and_dated(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_row(url, "tiny") as row, open_row(url, "other") as other:
        row.enter(ELSEWHERE, "token")
        other.enter(ELSEWHERE, "token")
        monkeypatch.setattr("study.store.holding._now", lambda: "2031-02-03T04:05:06+00:00")
        assert row.say_alive("token")
        assert found(row).beat == 1
        assert found(row).last_beat == datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
        assert found(row).since != found(row).last_beat
        assert found(other).beat == 0


def test_a_holder_that_was_not_heard_of_is_replaced(url: str) -> None:
    with open_row(url, "tiny") as row, open_row(url, "other") as other:
        row.enter(ELSEWHERE, "first")
        other.enter(ELSEWHERE, "first")
        assert row.replace(found(row), HERE, "second")
        assert (found(row).token, found(row).owner) == ("second", HERE)
        assert found(other).token == "first"


def test_a_holder_that_was_heard_of_since_is_not_replaced(url: str) -> None:
    with open_row(url, "tiny") as row:
        row.enter(ELSEWHERE, "first")
        old = found(row)
        row.say_alive("first")
        assert not row.replace(old, HERE, "second")
        assert found(row).token == "first"


def test_nobody_acts_for_a_holder_that_took_his_place(url: str) -> None:
    with open_row(url, "tiny") as row:
        row.enter(ELSEWHERE, "first")
        old = found(row)
        row.replace(old, HERE, "second")
        assert not row.say_alive("first")
        assert not row.replace(old, ELSEWHERE, "third")
        row.leave("first")
        assert (found(row).token, found(row).beat) == ("second", 0)


def test_a_study_that_was_left_has_no_holder(url: str) -> None:
    with open_row(url, "tiny") as row, open_row(url, "other") as other:
        row.enter(HERE, "token")
        other.enter(HERE, "token")
        row.leave("token")
        assert row.read() is None
        assert found(other).token == "token"


def test_many_make_the_table_at_the_same_moment(url: str) -> None:
    n_rounds, n_threads = 10, 4
    gate = threading.Barrier(n_threads)

    def make() -> None:
        gate.wait()
        with open_row(url, "tiny") as row:
            assert row.read() is None

    with open_row(url, "tiny") as row, ThreadPoolExecutor(n_threads) as threads:
        for _ in range(n_rounds):
            with row.engine.connect() as connection:
                connection.exec_driver_sql("DROP TABLE challenger_lease")
            for done in [threads.submit(make) for _ in range(n_threads)]:
                done.result()


def test_a_new_file_logs_ahead_of_its_writes_however_many_make_it(tmp_path: Path) -> None:
    n_rounds, n_threads = 20, 4
    gate = threading.Barrier(n_threads)

    def make(url: str) -> None:
        gate.wait()
        with open_row(url, "tiny") as row, row.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"

    with ThreadPoolExecutor(n_threads) as threads:
        for number in range(n_rounds):
            new = sqlite_url(tmp_path / f"{number}.db")
            for done in [threads.submit(make, new) for _ in range(n_threads)]:
                done.result()


def test_a_file_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "optuna.db"
    with closing(sqlite3.connect(path, check_same_thread=False)) as other:
        other.execute("CREATE TABLE study (name TEXT)")
        other.execute("BEGIN IMMEDIATE")
        end = threading.Timer(0.2, other.rollback)
        end.start()
        with open_row(sqlite_url(path), "tiny") as row:
            assert row.enter(HERE, "token")
        end.join()


def test_a_file_that_cannot_be_opened_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("time.sleep")
    with pytest.raises(StoreError, match="unable to open"), open_row(sqlite_url(tmp_path), "tiny"):
        pass


@pytest.mark.postgres
def test_a_user_who_may_make_no_table_uses_the_one_that_is_there(postgres_url: str) -> None:
    with open_row(postgres_url, "tiny") as row:
        row.enter(ELSEWHERE, "token")
    address = postgres_url.replace("+psycopg", "")
    with closing(psycopg.connect(address, autocommit=True)) as control:
        control.execute("CREATE ROLE guest LOGIN PASSWORD 'sesame'")
        try:
            control.execute("GRANT SELECT, UPDATE ON challenger_lease TO guest")
            place = postgres_url.rpartition("@")[2]
            with open_row(f"postgresql+psycopg://guest:sesame@{place}", "tiny") as row:
                assert row.say_alive("token")
        finally:
            control.execute("DROP OWNED BY guest")
            control.execute("DROP ROLE guest")


def test_asking_who_holds_a_study_makes_nothing(url: str, tmp_path: Path) -> None:
    assert holder(url, "tiny") is None
    assert list(tmp_path.iterdir()) == []
    with open_row(url, "other") as row:
        with row.engine.connect() as connection:
            connection.exec_driver_sql("DROP TABLE challenger_lease")
        assert holder(url, "tiny") is None
        assert not inspect(row.engine).has_table("challenger_lease")


def test_whoever_may_still_run_is_told(url: str) -> None:
    with open_row(url, "tiny") as row:
        for owner in (HERE, ELSEWHERE):
            row.enter(owner, "token")
            there = holder(url, "tiny")
            assert there is not None
            assert there.owner == owner
            row.leave("token")
        assert holder(url, "tiny") is None


def test_who_is_seen_to_have_ended_holds_nothing(url: str) -> None:
    with open_row(url, "tiny") as row:
        row.enter(replace(HERE, started="1"), "token")
    assert holder(url, "tiny") is None


@pytest.mark.parametrize("use", [holder, lambda url, study: open_row(url, study).__enter__()])
def test_a_server_that_does_not_answer_is_named_without_its_password(use) -> None:
    with pytest.raises(StoreError) as refused:
        use("postgresql+psycopg://me:sesame@127.0.0.1:1/studies", "tiny")
    text = str(refused.value)
    place = "postgresql+psycopg://me:***@127.0.0.1:1/studies"
    assert text.startswith(f"the Optuna database {place} cannot be opened: connection failed:")
    assert text.endswith("; name another with --database.")
    assert "sesame" not in text


@pytest.mark.postgres
def test_a_wrong_password_is_not_repeated(postgres_url: str) -> None:
    place = postgres_url.rpartition("@")[2]
    with pytest.raises(StoreError, match="password authentication failed") as refused:
        holder(f"postgresql+psycopg://challenger:sesame@{place}", "tiny")
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize("use", [holder, lambda url, study: open_row(url, study).__enter__()])
def test_a_file_that_is_no_database_is_named(use, tmp_path: Path) -> None:
    path = tmp_path / "optuna.db"
    path.write_text("a text that is longer than nothing" * 100)
    with pytest.raises(StoreError) as refused:
        use(sqlite_url(path), "tiny")
    assert str(refused.value) == (
        f"the Optuna database {path} cannot be opened: file is not a database; restore it, or "
        "name another with --database."
    )


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql+nonsense://me:sesame@db/studies", "Can't load plugin"),
        ("mysql+pymysql://me:sesame@db/studies", "No module named 'pymysql'"),
        ("postgresql+psycopg://me:sesame@db:port/studies", "invalid literal for int"),
        ("sesame", "Could not parse"),
        ("sqlite:////dev/null/optuna.db", "File exists"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused(url: str, reason: str) -> None:
    with pytest.raises(StoreError, match=reason), open_row(url, "tiny"):
        pass


@pytest.mark.postgres
def test_a_server_that_is_cut_off_is_given_up_within_a_lease_unless_the_url_says_otherwise(
    postgres_url: str,
) -> None:
    def settings(url: str) -> dict[str, str]:
        with open_row(url, "tiny") as row, row.engine.connect() as connection:
            server = connection.connection.driver_connection
            assert isinstance(server, psycopg.Connection)
            return server.info.get_parameters()

    ours = {"connect_timeout": "5", "tcp_user_timeout": "6000", "keepalives_idle": "3"}
    assert ours.items() <= settings(postgres_url).items()
    theirs = settings(f"{postgres_url}?connect_timeout=9")
    assert {**ours, "connect_timeout": "9"}.items() <= theirs.items()


@pytest.mark.postgres
def test_no_connection_outlives_its_use(postgres_url: str) -> None:
    with open_row(postgres_url, "tiny") as row:
        row.enter(HERE, "token")
    assert holder(postgres_url, "tiny") is not None
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    address = postgres_url.replace("+psycopg", "")
    with closing(psycopg.connect(address, autocommit=True)) as control:
        # The server takes a moment to end what served one.
        while control.execute(count).fetchone() != (1,):
            time.sleep(0.02)
