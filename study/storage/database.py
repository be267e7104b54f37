"""The Optuna database: connection options, opening, and transient errors."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from study.records.errors import StoreError, mask_passwords
from study.storage.sqlite import is_busy, sqlite_path, use_write_ahead_log

_MAX_MESSAGE_LENGTH: Final = 300


def is_transient(error: BaseException) -> bool:
    """Check whether an error is transient: the database is gone, starting, locked or cut off.

    A server that is full or read-only counts as unavailable as well: its message is shown, and
    the study continues once that is repaired.

    Example:
        >>> is_transient(ValueError("no"))
        False
    """
    cause = _cause(error)
    if isinstance(cause, PoolTimeoutError):
        return True
    if not isinstance(cause, DBAPIError):
        return False
    if isinstance(cause.orig, sqlite3.Error):
        # A full disk, or a missing or damaged file, is not transient.
        return is_busy(cause.orig)
    return cause.connection_invalidated or isinstance(
        cause, (OperationalError, InterfaceError, InternalError)
    )


def permanent_error(error: BaseException) -> StoreError | None:
    """Return the error to show for a failure of an SQLite file; None for all else."""
    cause = _cause(error)
    if not (isinstance(cause, DBAPIError) and isinstance(cause.orig, sqlite3.DatabaseError)):
        return None
    if isinstance(cause.orig, (sqlite3.ProgrammingError, sqlite3.IntegrityError)):
        return None
    return StoreError(
        "the Optuna database must be writable while its study runs, but: "
        f"{error_message(cause)}; free some space, or restore the file and its permissions."
    )


def open_error(url: str, error: BaseException) -> StoreError:
    """Return the error of a database that cannot be opened, without passwords."""
    path = sqlite_path(url)
    name, remedy = (mask_passwords(url), "") if path is None else (path, "restore it, or ")
    return StoreError(
        f"the Optuna database {name} cannot be opened: {error_message(error)}; {remedy}name "
        "another with --database."
    )


def error_message(error: BaseException) -> str:
    """Return the first line of a database's message, without passwords."""
    cause = _cause(error)
    said = str(cause.orig) if isinstance(cause, DBAPIError) else str(cause)
    lines = said.strip().splitlines() or [type(cause).__name__]
    return mask_passwords(lines[0])[:_MAX_MESSAGE_LENGTH]


def _cause(error: BaseException) -> BaseException:
    # Optuna wraps SQLAlchemy's errors, once its database is open.
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        return error.__cause__
    return error


# Another process may be writing to the file, or copying it.
_BUSY_TIMEOUT_S: Final = 30
# A connection to a server that is cut off fails within 6 s, less than a lease lasts.
_KEEPALIVE_OPTIONS: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 6000,
}


def connection_options(url: str) -> dict[str, Any]:
    """Return the driver's options for a database; options in the URL have priority.

    Example:
        >>> connection_options("sqlite:////studies/optuna.db")
        {'timeout': 30}
        >>> connection_options("mysql://host/studies")
        {}
    """
    if url.startswith("sqlite:"):
        return {"timeout": _BUSY_TIMEOUT_S}
    try:
        parts = make_url(url)
    except (ArgumentError, ValueError):
        # Refused where it is opened.
        return {}
    if parts.get_backend_name() != "postgresql":
        return {}
    return {name: value for name, value in _KEEPALIVE_OPTIONS.items() if name not in parts.query}


_CREATED_CONCURRENTLY: Final = (
    "already exists",
    "UNIQUE constraint failed",
    "duplicate key value",
)
_ATTEMPTS: Final = 5
_RETRY_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class DatabaseFile:
    """The file that SQLite has open: deleted, it could still be written without an error."""

    # None for a server.
    path: Path | None
    # Device and inode.
    identity: tuple[int, int] | None

    @classmethod
    def of(cls, url: str) -> DatabaseFile:
        """Return the file of a URL as it is now."""
        path = sqlite_path(url)
        return cls(path, None if path is None else _inode(path))

    def require_unchanged(self) -> None:
        """Raise a StoreError if the file was deleted or replaced."""
        if self.path is not None and _inode(self.path) != self.identity:
            raise StoreError(
                f"the Optuna database {self.path} must stay in its place while its study runs, "
                "but was deleted or replaced; put it back."
            )


def require_database_file(url: str) -> None:
    """Raise a StoreError if a database is an SQLite file that is missing or empty."""
    path = sqlite_path(url)
    if path is None or has_tables(url):
        return
    found = "is nothing in the" if path.exists() else "is no"
    raise StoreError(
        f"there {found} Optuna database {path}; name the one that the study was run with, by "
        "--database or CHALLENGER_DATABASE."
    )


def has_tables(url: str) -> bool:
    """Check whether a database has Optuna's tables, and change nothing; a server's may.

    Raises:
        StoreError: If it cannot be opened.
    """
    path = sqlite_path(url)
    if path is None:
        return True
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S)) as connection:
            query = "SELECT 1 FROM sqlite_master WHERE name = 'studies'"
            return connection.execute(query).fetchone() is not None
    except sqlite3.Error as error:
        raise open_error(url, error) from None


def open_database(url: str) -> RDBStorage:
    """Open a database and create missing tables; SQLite gets write-ahead logging."""
    options = {"connect_args": connection_options(url), "pool_pre_ping": True}
    try:
        if (path := sqlite_path(url)) is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            use_write_ahead_log(path)
        return _create_storage(url, options)
    except Exception as error:
        raise open_error(url, error) from None


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _create_storage(url: str, options: Mapping[str, Any]) -> RDBStorage:
    """Open a database in which another process may be creating the same tables."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return RDBStorage(url, engine_kwargs=dict(options))
        except Exception as error:
            # Each database has a message of its own for it, and Optuna wraps some.
            if not any(sign in str(error) for sign in _CREATED_CONCURRENTLY):
                raise
        time.sleep(_RETRY_S)
    return RDBStorage(url, engine_kwargs=dict(options))
