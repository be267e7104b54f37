"""Which errors of the Optuna database pass by themselves, and which need somebody to act."""

from __future__ import annotations

import sqlite3
from typing import Final

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from study.errors import StoreError
from study.sqlite_file import is_busy, sqlite_path
from study.tracking.address import masked

_LENGTH: Final = 300


def is_away(error: BaseException) -> bool:
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


def as_store_error(error: BaseException) -> StoreError | None:
    """Say an error of an SQLite file for people, who can end it; None for all else."""
    cause = _cause(error)
    if not (isinstance(cause, DBAPIError) and isinstance(cause.orig, sqlite3.DatabaseError)):
        return None
    if isinstance(cause.orig, (sqlite3.ProgrammingError, sqlite3.IntegrityError)):
        return None
    return StoreError(
        f"the Optuna database must be writable while its study runs, but: {reason(cause)}; free "
        "some space, or restore the file and its permissions."
    )


def unusable(url: str, error: BaseException) -> StoreError:
    """Say for people that a database cannot be opened, without passwords."""
    path = sqlite_path(url)
    place, remedy = (masked(url), "") if path is None else (path, "restore it, or ")
    return StoreError(
        f"the Optuna database {place} cannot be opened: {reason(error)}; {remedy}name another "
        "with --database."
    )


def reason(error: BaseException) -> str:
    """Give the first line of what the database said, without passwords."""
    cause = _cause(error)
    said = str(cause.orig) if isinstance(cause, DBAPIError) else str(cause)
    lines = said.strip().splitlines() or [type(cause).__name__]
    return masked(lines[0])[:_LENGTH]


def _cause(error: BaseException) -> BaseException:
    # Optuna wraps what SQLAlchemy says, once its database is open.
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        return error.__cause__
    return error
