"""The Optuna database of a chaotic study: something that can be away for a while."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from cluster.postgres import PostgresServer
from cluster.postgres_folder import create_postgres, read_login
from study.sqlite_file import sqlite_url

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

    def strike(self) -> str:
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

    def strike(self) -> str:
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

    def strike(self) -> str:
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
