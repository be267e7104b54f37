"""A PostgreSQL server of one's own on this machine: for tests, for chaos, for a small cluster.

It listens on 127.0.0.1 alone and has no socket in the file system, whose path could be too long.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import psycopg

from cluster.errors import ClusterError
from cluster.postgres_folder import Login, read_login, shortened
from cluster.postgres_programs import find_programs, surroundings
from cluster.process_tree import children, kill_with_children

_DATABASE: Final = "postgres"
# Recovery after a kill included; on two shared cores a start took 0.1 s.
_START_UP_S: Final = 60.0
_END_S: Final = 60.0
# Linux sends a fast shutdown then; setpriv, of Debian's util-linux, becomes the server itself.
_ENDS_WITH_US: Final = ("setpriv", "--pdeathsig", "INT", "--")


class PostgresServer:
    """The server of a folder that :func:`create_postgres` made. Has mutable state: its process."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        *,
        ends_with_us: bool = False,
    ) -> None:
        """Take up a server without starting it.

        Args:
            folder: What :func:`create_postgres` was given.
            settings: Settings of PostgreSQL that differ from its defaults, such as
                ``{"fsync": "off"}``. They stand on its command line, for all to read.
            ends_with_us: Whether it shuts down when the thread that starts it ends, however that
                ends, as if it were told to :meth:`stop`.

        Raises:
            ClusterError: If the folder holds no server.
        """
        self._folder = folder.absolute()
        self._login = read_login(self._folder)
        self._settings = dict(settings or {})
        self._prefix = _ENDS_WITH_US if ends_with_us else ()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """SQLAlchemy URL of its first database, with the password; the same after each start."""
        return self.url_of(_DATABASE)

    def url_of(self, database: str) -> str:
        """Give the SQLAlchemy URL of a database, with the password."""
        return url_of(self._login, database)

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers: at most a minute.

        Raises:
            ClusterError: If it ends or does not answer, with the end of its log.
        """
        if self.is_running():
            return
        command = [*self._prefix, *server_command(self._folder, self._login, self._settings)]
        self._process = _launch(command, self._folder)
        with contextlib.ExitStack() as unless_it_answers:
            unless_it_answers.callback(self.kill)
            _wait_until_it_answers(self._process, self._login, self._folder / "server.log")
            unless_it_answers.pop_all()

    def stop(self) -> None:
        """Shut it down in order, without waiting for its clients; kill it if that takes long."""
        if self._process is None or not self.is_running():
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill it and all that it started at once, as a crash does; none is left on return."""
        if self._process is not None and self.is_running():
            kill_with_children(self._process)

    def is_running(self) -> bool:
        """Tell whether the process that we started lives."""
        return self._process is not None and self._process.poll() is None

    def processes(self) -> list[int]:
        """Give the numbers of its processes, the main one first; none if it does not run."""
        if self._process is None or not self.is_running():
            return []
        return [self._process.pid, *children(self._process.pid)]


def url_of(login: Login, database: str = _DATABASE) -> str:
    """Give the SQLAlchemy URL of a database of a server, with the password."""
    who = f"{login.user}:{login.password}"
    return f"postgresql+psycopg://{who}@127.0.0.1:{login.port}/{database}"


def server_command(
    folder: Path, login: Login, settings: Mapping[str, str] | None = None
) -> list[str]:
    """Give the command line of the server of a folder; no secret is in it.

    Raises:
        ClusterError: If there is no PostgreSQL on this machine.
    """
    ours = {
        "listen_addresses": "127.0.0.1",
        "port": str(login.port),
        "unix_socket_directories": "",
    }
    command = [str(find_programs() / "postgres"), "-D", str(folder / "data")]
    for name, setting in {**(settings or {}), **ours}.items():
        command += ["-c", f"{name}={setting}"]
    return command


def refusal(login: Login) -> str | None:
    """Try to connect to a server; gives why that was not possible, or None if it was."""
    try:
        _connect(login)
    except psycopg.OperationalError as error:
        return shortened(str(error))
    return None


def _launch(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    # The folder is the server's, we may be root: what it put there is not followed.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    descriptor = os.open(folder / "server.log", flags, 0o600)
    with open(descriptor, "ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, **surroundings(folder))


def _wait_until_it_answers(process: subprocess.Popen[bytes], login: Login, log: Path) -> None:
    end = time.monotonic() + _START_UP_S
    where = f"the PostgreSQL in {log.parent} must answer on 127.0.0.1:{login.port}"
    while time.monotonic() < end:
        if process.poll() is not None:
            raise ClusterError(
                f"{where}, but it ended with exit code {process.returncode}; the end of its log "
                f"{log.name}: {_end_of(log)}"
            )
        with contextlib.suppress(psycopg.OperationalError):
            _connect(login)
            return
        time.sleep(0.05)
    raise ClusterError(
        f"{where} within {_START_UP_S:.0f} s, but did not; the end of its log {log.name}: "
        f"{_end_of(log)}"
    )


def _connect(login: Login) -> None:
    psycopg.connect(
        host="127.0.0.1",
        port=login.port,
        user=login.user,
        password=login.password,
        dbname=_DATABASE,
        connect_timeout=2,
    ).close()


def _end_of(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 2_000))
        lines = file.read().decode(errors="replace").splitlines()
    return shortened("; ".join(lines[-5:]))
