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

_SYNC_MODULE: Final = "study.tracking.sync_process"
# `-P`: a folder called study in the current one is not our package.
_PROGRAM: Final = ("-P", "-c", "from study.cli.main import main; main()")


class Driver:
    """The program, started repeatedly in a folder. Has mutable state: its processes."""

    def __init__(self, folder: Path, environment: Callable[[], Mapping[str, str]]) -> None:
        """Start nothing yet; the environment is computed at each start."""
        self._folder = folder
        self._environment = environment
        self._processes: list[subprocess.Popen[bytes]] = []
        self._log_offset = 0

    @property
    def log(self) -> Path:
        """The output of all starts."""
        return self._folder / "driver.log"

    @property
    def n_starts(self) -> int:
        """Number of starts."""
        return len(self._processes)

    @property
    def pid(self) -> int:
        """The pid of the latest process."""
        return self._processes[-1].pid

    def start(self, *arguments: str) -> None:
        """Start it; the process before must have ended."""
        self._log_offset = self.log.stat().st_size if self.log.exists() else 0
        self._processes.append(self._start(self.log, arguments))

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""
        return self._processes[-1].poll()

    def wait(self, timeout_s: float) -> float | None:
        """Wait for its end; returns the seconds that took, or None if it did not end."""
        began = time.monotonic()
        try:
            self._processes[-1].wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        return time.monotonic() - began

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it, and to none of its children."""
        self._processes[-1].send_signal(number)

    def kill(self) -> None:
        """Kill it and wait for its end."""
        self.signal(signal.SIGKILL)
        self.wait(10.0)

    def sync_process_pid(self) -> int | None:
        """Return the pid of its process that synchronizes MLflow, or None."""
        found = [pid for pid in session_pids(self.pid) if _SYNC_MODULE in command_line(pid)]
        return found[0] if found else None

    def output(self) -> str:
        """Return the last lines of its latest run, as one."""
        with self.log.open("rb") as file:
            file.seek(self._log_offset)
            lines = file.read().decode(errors="replace").split("\n")
        words = [" ".join(line.split()) for line in lines if line.strip()]
        return " / ".join(words[-4:])[-600:]

    def run_second(self, timeout_s: float, *arguments: str) -> tuple[int | None, str]:
        """Run the program a second time at the same time; returns its exit code and output."""
        log = self._folder / "second.log"
        log.unlink(missing_ok=True)
        process = self._start(log, arguments)
        try:
            code: int | None = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            code = None
        kill_session(process)
        return code, " ".join(log.read_text(encoding="utf-8", errors="replace").split())

    def end(self) -> None:
        """Kill the sessions of all its processes."""
        for process in self._processes:
            kill_session(process)

    def _start(self, log: Path, arguments: tuple[str, ...]) -> subprocess.Popen[bytes]:
        command = [sys.executable, *_PROGRAM, *arguments]
        return start_session(command, self._environment(), log, self._folder)


def kill(pid: int) -> bool:
    """Kill a process of the harness; False if it is gone."""
    return send_signal(pid, signal.SIGKILL)


# Ends with our end of the pipe, so that the file is never locked for longer than this process.
_LOCK: Final = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


class Database(Protocol):
    """An Optuna database that can be made unavailable."""

    @property
    def url(self) -> str:
        """SQLAlchemy URL."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Passwords that no file may hold."""

    def start(self) -> None:
        """Make it available."""

    def inject(self) -> str:
        """Make it unavailable; returns a note."""

    def restore(self) -> None:
        """Make it available again."""

    def stop(self) -> None:
        """End what was started."""


class SqliteDatabase:
    """A file that another process can lock. Has mutable state: that process."""

    secrets: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        """Name the file, which the study makes."""
        self._path = path
        self._other: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """SQLAlchemy URL."""
        return sqlite_url(self._path)

    def start(self) -> None:
        """Do nothing."""

    def inject(self) -> str:
        """Lock the file in another process."""
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

    stop = restore


class PostgresDatabase:
    """A PostgreSQL server of its own, which is killed."""

    def __init__(self, folder: Path) -> None:
        """Create a server."""
        create_postgres(folder)
        self.secrets = (read_login(folder).password,)
        self._server = PostgresServer(folder)
        self.start = self.restore = self._server.start
        self.stop = self._server.stop

    @property
    def url(self) -> str:
        """SQLAlchemy URL."""
        return self._server.url

    def inject(self) -> str:
        """Kill the server."""
        self._server.kill()
        return "killed the server"


DATABASES: Final[Mapping[str, Callable[[Path], Database]]] = {
    "sqlite": lambda root: SqliteDatabase(root / "storage" / "optuna.db"),
    "postgresql": lambda root: PostgresDatabase(root / "postgres"),
}
