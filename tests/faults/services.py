"""The driver process and the Optuna database of a study under faults."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from cluster.postgres import PostgresServer, create_postgres, read_login
from cluster.process import command_line, kill_session, send_signal, session_pids, start_session
from study.storage.sqlite import sqlite_url

_DELIVERY: Final = "study.tracking.sync_process"
# `-P`: a folder called study in the current one is not our package.
_PROGRAM: Final = ("-P", "-c", "from study.cli.main import main; main()")


class Driver:
    """A command line that is started again and again. Has mutable state: its process."""

    def __init__(self, folder: Path, environment: Callable[[], Mapping[str, str]]) -> None:
        """Start nothing yet.

        Args:
            folder: Its current folder, in which ``driver.log`` is written.
            environment: Gives its whole environment at each start.
        """
        self._folder = folder
        self._environment = environment
        self._processes: list[subprocess.Popen[bytes]] = []
        self._log_began = 0

    @property
    def log(self) -> Path:
        """What it said, over all starts."""
        return self._folder / "driver.log"

    @property
    def n_starts(self) -> int:
        """How often it was started."""
        return len(self._processes)

    @property
    def pid(self) -> int:
        """Number of its latest process."""
        return self._processes[-1].pid

    def start(self, *arguments: str) -> None:
        """Start it; the one before must have ended."""
        self._log_began = self.log.stat().st_size if self.log.exists() else 0
        self._processes.append(self._launched(self.log, arguments))

    def poll(self) -> int | None:
        """Give the exit code, negative for a signal, or None while it runs."""
        return self._processes[-1].poll()

    def wait(self, timeout_s: float) -> float | None:
        """Wait for its end; gives the seconds that took, or None if it did not end."""
        began = time.monotonic()
        try:
            self._processes[-1].wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        return time.monotonic() - began

    def signal(self, what: signal.Signals) -> None:
        """Send it, and none of those that it started, a signal."""
        self._processes[-1].send_signal(what)

    def sync_process_pid(self) -> int | None:
        """Give the number of its process that delivers to MLflow, or None."""
        found = [pid for pid in session_pids(self.pid) if _DELIVERY in command_line(pid)]
        return found[0] if found else None

    def output(self) -> str:
        """Give the last lines of its latest run, as one."""
        with self.log.open("rb") as file:
            file.seek(self._log_began)
            lines = file.read().decode(errors="replace").split("\n")
        told = [" ".join(line.split()) for line in lines if line.strip()]
        return " / ".join(told[-4:])[-600:]

    def second(self, timeout_s: float, *arguments: str) -> tuple[int | None, str]:
        """Start the program a second time beside; gives its exit code and what it said."""
        log = self._folder / "second.log"
        log.unlink(missing_ok=True)
        process = self._launched(log, arguments)
        try:
            code: int | None = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            code = None
        kill_session(process)
        return code, " ".join(log.read_text(encoding="utf-8", errors="replace").split())

    def end(self) -> None:
        """Kill what is left of all its runs, and of what they started."""
        for process in self._processes:
            kill_session(process)

    def _launched(self, log: Path, arguments: tuple[str, ...]) -> subprocess.Popen[bytes]:
        command = [sys.executable, *_PROGRAM, *arguments]
        return start_session(command, self._environment(), log, self._folder)


def kill(pid: int) -> bool:
    """Kill a process that we or one of ours started; False if it is gone."""
    return send_signal(pid, signal.SIGKILL)


# Ends with our end of the pipe, so that the file is never locked for longer than we live.
_LOCK: Final = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


class Database(Protocol):
    """What the arena asks of a database."""

    @property
    def url(self) -> str:
        """SQLAlchemy URL."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Passwords that nobody may write down."""

    def start(self) -> None:
        """Make it usable."""

    def inject(self) -> str:
        """Take it away; says how."""

    def restore(self) -> None:
        """Bring it back."""

    def stop(self) -> None:
        """End what was started."""


class SqliteDatabase:
    """A file, which another process locks for itself. Has mutable state: that process."""

    def __init__(self, path: Path) -> None:
        """Take up a file."""
        self._path = path
        self._other: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """SQLAlchemy URL."""
        return sqlite_url(self._path)

    @property
    def secrets(self) -> tuple[str, ...]:
        """None."""
        return ()

    def start(self) -> None:
        """Do nothing: the study makes the file."""

    def inject(self) -> str:
        """Lock the file for another process."""
        command = [sys.executable, "-c", _LOCK, str(self._path)]
        self._other = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self._other.stdout is not None
        is_locked = bool(self._other.stdout.readline())
        return "another process locked the file" if is_locked else "the file could not be locked"

    def restore(self) -> None:
        """Unlock the file."""
        if self._other is not None:
            self._other.communicate()
            self._other = None

    def stop(self) -> None:
        """Unlock the file."""
        self.restore()


class PostgresDatabase:
    """A server of our own, which is killed."""

    def __init__(self, folder: Path) -> None:
        """Make a server.

        Raises:
            ClusterError: If PostgreSQL is not installed, or cannot be run here.
        """
        create_postgres(folder)
        self._password = read_login(folder).password
        self._server = PostgresServer(folder)

    @property
    def url(self) -> str:
        """SQLAlchemy URL."""
        return self._server.url

    @property
    def secrets(self) -> tuple[str, ...]:
        """Its password."""
        return (self._password,)

    def start(self) -> None:
        """Start the server."""
        self._server.start()

    def inject(self) -> str:
        """Kill the server."""
        self._server.kill()
        return "killed the server"

    def restore(self) -> None:
        """Start the server again."""
        self._server.start()

    def stop(self) -> None:
        """End the server."""
        self._server.stop()


DATABASES: Final[Mapping[str, Callable[[Path], Database]]] = {
    "sqlite": lambda root: SqliteDatabase(root / "storage" / "optuna.db"),
    "postgresql": lambda root: PostgresDatabase(root / "postgres"),
}
