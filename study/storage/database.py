"""The Optuna database: connection options, opening, and transient errors."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
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

from study.records.errors import StoreError
from study.storage.sqlite import is_busy, sqlite_path, use_write_ahead_log
from study.tracking.tracking_uri import mask_passwords

_MAX_MESSAGE_LENGTH: Final = 300


def is_transient(error: BaseException) -> bool:
    """Tell whether a database only has to be waited for: gone, starting, locked or cut off.

    A server that is full or read-only is waited for as well: its message is shown, and whoever
    mends it need not start the study again.

    Example:
        >>> is_away(ValueError("no"))
        False
    """
    cause = _cause(error)
    if isinstance(cause, PoolTimeoutError):
        return True
    if not isinstance(cause, DBAPIError):
        return False
    if isinstance(cause.orig, sqlite3.Error):
        # A full disk, a file that is gone or damaged, do not pass by themselves.
        return is_busy(cause.orig)
    is_passing = isinstance(cause, (OperationalError, InterfaceError, InternalError))
    return is_passing or cause.connection_invalidated


def permanent_error(error: BaseException) -> StoreError | None:
    """Say an error of an SQLite file for people, who can end it; None for all else."""
    cause = _cause(error)
    if not (isinstance(cause, DBAPIError) and isinstance(cause.orig, sqlite3.DatabaseError)):
        return None
    if isinstance(cause.orig, (sqlite3.ProgrammingError, sqlite3.IntegrityError)):
        return None
    return StoreError(
        f"the Optuna database must be writable while its study runs, but: {error_message(cause)}; free "
        "some space, or restore the file and its permissions."
    )


def open_error(url: str, error: BaseException) -> StoreError:
    """Say for people that a database cannot be opened, without passwords."""
    path = sqlite_path(url)
    place, remedy = (mask_passwords(url), "") if path is None else (path, "restore it, or ")
    return StoreError(
        f"the Optuna database {place} cannot be opened: {error_message(error)}; {remedy}name another "
        "with --database."
    )


def error_message(error: BaseException) -> str:
    """Give the first line of what the database said, without passwords."""
    cause = _cause(error)
    said = str(cause.orig) if isinstance(cause, DBAPIError) else str(cause)
    lines = said.strip().splitlines() or [type(cause).__name__]
    return mask_passwords(lines[0])[:_MAX_MESSAGE_LENGTH]


def _cause(error: BaseException) -> BaseException:
    # Optuna wraps what SQLAlchemy says, once its database is open.
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        return error.__cause__
    return error


# Another process may write to the file meanwhile, or copy it.
_BUSY_TIMEOUT_S: Final = 30
# A server that went away without a word is given up within 6 s and asked anew: less than a lease.
_KEEPALIVE_OPTIONS: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 6000,
}


def connection_options(url: str) -> dict[str, Any]:
    """Give the driver's options for a database; what the user wrote into the URL counts.

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
        # Whoever connects says so.
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
    """The file that SQLite has open, if the database is one: deleted, it could still be written.

    Attributes:
        path: Where it is; None for a server.
        identity: Its device and number there.
    """

    path: Path | None
    identity: tuple[int, int] | None

    @classmethod
    def of(cls, url: str) -> DatabaseFile:
        """Note which file a URL names now."""
        path = sqlite_path(url)
        return cls(path, None if path is None else _inode(path))

    def require_unchanged(self) -> None:
        """Make sure that it is still that file.

        Raises:
            StoreError: If it was deleted or replaced.
        """
        if self.path is not None and _inode(self.path) != self.identity:
            raise StoreError(
                f"the Optuna database {self.path} must stay in its place while its study runs, "
                "but was deleted or replaced; put it back."
            )


def require_database_file(url: str) -> None:
    """Make sure that a database that is a file is there; opening it would make it.

    Raises:
        StoreError: If it is not.
    """
    path = sqlite_path(url)
    if path is not None and not path.exists():
        raise StoreError(
            f"there is no Optuna database {path}; name the one that the study was run with, by "
            "--database or CHALLENGER_DATABASE."
        )


def open_database(url: str) -> RDBStorage:
    """Open a database, and make its tables if they are missing; SQLite gets write-ahead logging.

    Raises:
        StoreError: If it cannot be opened.
    """
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
    """Open a database, in which another study may be making the same tables just now."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return RDBStorage(url, engine_kwargs=dict(options))
        except Exception as error:
            # Each database has a word of its own for it, and Optuna wraps some.
            if not any(sign in str(error) for sign in _CREATED_CONCURRENTLY):
                raise
        time.sleep(_RETRY_S)
    return RDBStorage(url, engine_kwargs=dict(options))
