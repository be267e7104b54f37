"""A real PostgreSQL: it answers, keeps its data through kills, and its password is private."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from cluster import postgres as postgres_module
from cluster.errors import ClusterError
from cluster.ports import free_port
from cluster.postgres import (
    PostgresLogin,
    PostgresServer,
    create_postgres,
    find_programs,
    popen_options,
    postmaster_pid,
    remove_stale_pid_file,
    server_pids,
)
from cluster.process import processes

pytestmark = pytest.mark.postgres

_FAST = {"fsync": "off"}


@pytest.fixture
def place(postgres: PostgresServer) -> Iterator[Path]:  # noqa: ARG001 (may skip)
    """Make a folder that PostgreSQL's user under root can access."""
    place = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def server(postgres: PostgresServer) -> Iterator[PostgresServer]:  # noqa: ARG001 (may skip)
    """Create a server that a test may kill; each test starts it."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
    create_postgres(folder)
    server = PostgresServer(folder, _FAST, stops_with_parent=True)
    yield server
    server.stop()
    shutil.rmtree(folder)


def ask(url: str, query: str) -> Any:  # noqa: ANN401 (SQL)
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        return connection.execute(text(query)).scalar()


def run(url: str, statement: str) -> None:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(statement))


def log_of(server: PostgresServer) -> Path:
    return server._folder / "server.log"


def password_of(server: PostgresServer) -> str:
    password = make_url(server.url).password
    assert password is not None
    return password


def test_it_answers_at_its_url_and_keeps_the_defaults_of_durability(server) -> None:
    server.start()
    assert re.fullmatch(
        r"postgresql\+psycopg://challenger:[\w-]{32}@127\.0\.0\.1:\d+/postgres", server.url
    )
    assert server.database_url("mine") == server.url.removesuffix("postgres") + "mine"
    assert ask(server.url, "SHOW server_encoding") == "UTF8"
    assert ask(server.url, "SHOW lc_collate") == "C.UTF-8"
    assert ask(server.url, "SHOW synchronous_commit") == "on"
    assert ask(server.url, "SHOW full_page_writes") == "on"
    assert ask(server.url, "SHOW fsync") == "off"


def test_it_listens_on_this_machine_alone_and_has_no_socket_file(server) -> None:
    server.start()
    assert ask(server.url, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(server.url, "SHOW unix_socket_directories") == ""
    assert sorted(path.name for path in server._folder.iterdir()) == [
        "data",
        "login.json",
        "server.log",
    ]


def test_it_survives_kills_and_restarts_with_its_data_at_its_address(server) -> None:
    server.start()
    url = server.url
    run(url, "CREATE TABLE kept (i int)")
    for i, end in enumerate((server.kill, server.stop, server.kill)):
        run(url, f"INSERT INTO kept VALUES ({i})")
        end()
        assert not server.is_running()
        with pytest.raises(OperationalError, match="Connection refused"):
            ask(url, "SELECT 1")
        server.start()
        assert server.is_running()
        assert ask(url, "SELECT array_agg(i ORDER BY i) FROM kept") == list(range(i + 1))
    run(url, "DROP TABLE kept")


def test_a_kill_ends_every_process_in_the_middle_of_its_work(server) -> None:
    server.start()
    with closing(psycopg.connect(server.url.replace("+psycopg", ""))) as client:
        backend = client.info.backend_pid
        busy = threading.Thread(target=swallow, args=(client,))
        busy.start()
        pids = server.pids()
        assert backend in pids
        assert len(pids) > 3
        server.kill()
        busy.join(timeout=30)
    assert not busy.is_alive()
    assert server.pids() == []
    assert not any(is_alive(pid) for pid in pids)


def swallow(client: psycopg.Connection) -> None:
    with pytest.raises(psycopg.OperationalError):
        client.execute("SELECT pg_sleep(300)")


def is_alive(pid: int) -> bool:
    return pid in {process.pid for process in processes()}


def test_a_stop_writes_everything_and_does_not_wait_for_clients(server) -> None:
    server.start()
    with closing(psycopg.connect(server.url.replace("+psycopg", ""))) as client:
        client.execute("SELECT 1")
        server.stop()
    assert not server.is_running()
    log = log_of(server).read_text()
    assert log.rstrip().endswith("LOG:  database system is shut down")
    assert "received fast shutdown request" in log[log.rindex("ready to accept connections") :]


def test_a_server_that_hangs_is_killed_by_stop(server, monkeypatch) -> None:
    server.start()
    pids = server.pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(postgres_module, "_SHUTDOWN_TIMEOUT_S", 0.2)
    server.stop()
    assert not any(is_alive(pid) for pid in pids)


def test_starting_twice_and_ending_twice_is_starting_and_ending_once(server) -> None:
    server.start()
    pids = server.pids()
    server.start()
    assert server.pids()[0] == pids[0]
    for _ in range(2):
        server.stop()
        server.kill()
        assert not server.is_running()


@pytest.mark.extended
def test_two_servers_run_at_the_same_time_and_know_only_their_own_password(
    server, postgres
) -> None:
    server.start()
    run(server.url, "CREATE TABLE mine (i int)")
    assert ask(server.url, "SELECT to_regclass('mine')::text") == "mine"
    assert ask(postgres.url, "SELECT to_regclass('mine')::text") is None
    run(server.url, "DROP TABLE mine")
    wrong = server.url.replace(password_of(server), password_of(postgres))
    with pytest.raises(OperationalError, match="password authentication failed"):
        ask(wrong, "SELECT 1")


def test_a_server_is_found_again_by_its_folder(place: Path) -> None:
    create_postgres(place / "server")
    urls = []
    for _ in range(2):
        server = PostgresServer(place / "server", _FAST, stops_with_parent=True)
        server.start()
        assert ask(server.url, "SELECT 1") == 1
        urls.append(server.url)
        server.stop()
    assert urls[0] == urls[1]


def test_a_running_server_is_found_by_its_folder_and_an_ended_one_is_not(server) -> None:
    server.start()
    assert postmaster_pid(server._folder) == server.pids()[0]
    assert set(server_pids(server._folder)) >= set(server.pids())
    remove_stale_pid_file(server._folder)
    assert (server._folder / "data" / "postmaster.pid").exists()
    server.kill()
    assert postmaster_pid(server._folder) is None
    assert server_pids(server._folder) == ()


def test_a_stale_pid_file_with_a_reused_pid_does_not_block_a_start(server) -> None:
    server.start()
    server.kill()
    file = server._folder / "data" / "postmaster.pid"
    lines = file.read_text().splitlines()
    options = popen_options(server._folder)
    with subprocess.Popen(["sleep", "600"], **options) as another:
        try:
            file.write_text("\n".join([str(another.pid), *lines[1:]]) + "\n")
            with pytest.raises(
                ClusterError, match=r"lock file \"postmaster\.pid\" already exists"
            ):
                server.start()
            remove_stale_pid_file(server._folder)
            server.start()
            assert another.poll() is None
        finally:
            another.kill()


_STARTS = """
import sys, time
from pathlib import Path
from cluster.postgres import PostgresServer
server = PostgresServer(Path(sys.argv[1]), stops_with_parent=True)
server.start()
print(*server.pids(), flush=True)
time.sleep(300)
"""


def test_a_server_stops_with_its_parent_if_so_configured(server) -> None:
    server.stop()
    command = [sys.executable, "-c", _STARTS, str(server._folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pids = [int(pid) for pid in starter.stdout.readline().split()]
        # The first is the server itself; those that start it up may have ended since.
        assert is_alive(pids[0])
        starter.kill()
    end = time.monotonic() + 60
    while any(is_alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(is_alive(pid) for pid in pids)
    server.start()
    assert ask(server.url, "SELECT 1") == 1


def test_the_password_is_in_no_command_line_no_environment_and_no_log(place: Path) -> None:
    seen: set[bytes] = set()
    is_over = threading.Event()
    watch = threading.Thread(target=watch_processes, args=(seen, is_over))
    watch.start()
    create_postgres(place / "server")
    server = PostgresServer(place / "server", _FAST, stops_with_parent=True)
    server.start()
    ask(server.url, "SELECT 1")
    server.stop()
    is_over.set()
    watch.join()
    password = password_of(server).encode()
    assert any(b"initdb" in line for line in seen), "the watch saw it being made"
    assert any(b"listen_addresses" in line for line in seen), "and started"
    assert not any(password in line for line in seen)
    assert password not in log_of(server).read_bytes()
    assert password.decode() not in repr(server)
    assert password.decode() not in repr(server._login)


def watch_processes(seen: set[bytes], is_over: threading.Event) -> None:
    while not is_over.is_set():
        for path in [*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")]:
            try:
                seen.add(path.read_bytes())
            except OSError:
                continue  # it has ended, or is another user's
        time.sleep(0.02)


def test_what_holds_the_password_is_for_its_owner_alone(server) -> None:
    files = {path.name: path.stat() for path in server._folder.iterdir()}
    assert stat.S_IMODE(server._folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(files["data"].st_mode) == 0o700
    assert stat.S_IMODE(files["login.json"].st_mode) == 0o600
    assert files["login.json"].st_uid == os.geteuid()
    password = password_of(server).encode()
    holding = [path for path in server._folder.rglob("*") if holds(path, password)]
    assert holding == [server._folder / "login.json"]


def holds(path: Path, content: bytes) -> bool:
    return path.is_file() and content in path.read_bytes()


def test_its_port_is_none_that_linux_gives_to_clients() -> None:
    first, last = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    for _ in range(5):
        assert not int(first) <= free_port("PostgreSQL", "127.0.0.1") <= int(last)


def test_a_taken_port_is_an_error_with_the_end_of_the_log(server) -> None:
    server.stop()
    port = make_url(server.url).port
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(ClusterError) as refused:
            server.start()
    said = str(refused.value)
    assert said.startswith(
        f"the PostgreSQL in {server._folder} must answer on 127.0.0.1:{port}, but it ended with "
        "exit code 1; the end of its log server.log: "
    )
    assert "Address already in use" in said
    assert "\n" not in said
    assert not server.is_running()


def test_a_server_that_does_not_answer_in_time_is_killed(server, monkeypatch) -> None:
    server.stop()
    monkeypatch.setattr(postgres_module, "_STARTUP_TIMEOUT_S", 0.0)
    with pytest.raises(ClusterError) as refused:
        server.start()
    assert re.fullmatch(
        rf"the PostgreSQL in {server._folder} must answer on 127\.0\.0\.1:\d+ within 0 s, but did "
        r"not; the end of its log server\.log: .*",
        str(refused.value),
    )
    assert not server.is_running()


@pytest.mark.usefixtures("postgres")
def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "diary").write_text("dear diary")
    with pytest.raises(ClusterError) as refused:
        create_postgres(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path} must be empty for a new PostgreSQL, but is not; name another "
        "folder, or start the server that is there."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["diary"]


@pytest.mark.usefixtures("postgres")
def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ClusterError, match=r"^no PostgreSQL can be created in .*file/server: .*\.$"
    ):
        create_postgres(tmp_path / "file" / "server")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user for PostgreSQL")
def test_a_folder_that_the_server_s_user_cannot_access_is_refused(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ClusterError) as refused:
        create_postgres(closed / "server")
    assert str(refused.value) == (
        f"{closed / 'server'} must be accessible to the user 'postgres', which runs PostgreSQL "
        f"for root, but {closed} is not; name a folder below /tmp or /var/lib, or "
        f"run 'chmod o+x {closed}'."
    )


def test_an_initdb_that_fails_is_quoted_and_its_password_file_deleted(
    place: Path, monkeypatch
) -> None:
    programs = place / "bin"
    programs.mkdir()
    (programs / "initdb").write_text("#!/bin/sh\necho no room >&2\nexit 3\n")
    (programs / "initdb").chmod(0o755)
    monkeypatch.setattr(postgres_module, "find_programs", lambda: programs)
    with pytest.raises(ClusterError) as refused:
        create_postgres(place / "server")
    assert str(refused.value) == (
        f"no PostgreSQL can be created in {place / 'server'}: initdb ended with exit code 3: no "
        "room"
    )
    assert list((place / "server").iterdir()) == []


def test_a_folder_without_a_server_is_named(tmp_path: Path) -> None:
    for content in (None, "no JSON", "[]", '{"user": "ann"}'):
        if content is not None:
            (tmp_path / "login.json").write_text(content)
        with pytest.raises(ClusterError) as refused:
            PostgresServer(tmp_path)
        said = str(refused.value)
        assert said.startswith(f"{tmp_path} must hold a PostgreSQL with its login.json, but: ")
        assert said.endswith("; name the folder that it was created in.")


def test_missing_programs_are_an_error_with_the_package(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError) as refused:
        find_programs(tmp_path)
    assert str(refused.value) == (
        f"PostgreSQL's server must be in {tmp_path} or its initdb on PATH, but is in neither; "
        "install Debian's package 'postgresql', or add its folder to PATH."
    )


def test_the_newest_of_debian_s_versions_goes_before_the_one_on_path(
    tmp_path: Path, monkeypatch
) -> None:
    def program(folder: Path) -> Path:
        folder.mkdir(parents=True)
        (folder / "initdb").touch(mode=0o755)
        return folder

    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    on_path = program(tmp_path / "elsewhere")
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "initdb").symlink_to(on_path / "initdb")
    assert find_programs(tmp_path / "versions") == on_path
    for version in ("9.6", "15", "9.10"):
        program(tmp_path / "versions" / version / "bin")
    assert find_programs(tmp_path / "versions") == tmp_path / "versions" / "15" / "bin"


def test_root_without_the_user_postgres_is_an_error(tmp_path: Path, monkeypatch) -> None:
    def unknown(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", unknown)
    with pytest.raises(ClusterError) as refused:
        popen_options(tmp_path)
    assert str(refused.value) == (
        "PostgreSQL refuses to run as root and there is no user 'postgres' to run it; install "
        "Debian's package 'postgresql', which makes that user, or start as another user."
    )


def test_without_root_the_server_runs_under_the_present_user(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "user" not in popen_options(tmp_path)


def test_a_login_does_not_show_its_password() -> None:
    assert "sesame" not in repr(PostgresLogin(user="ann", password="sesame", port=1))
