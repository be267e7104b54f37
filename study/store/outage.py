"""Which errors of the Optuna database pass by themselves, and which need somebody to act."""

from __future__ import annotations

from typing import Final

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from study.errors import StoreError
from study.tracking.address import masked

# SQLite says these of a disk; a server that is full says so in its own words, and is waited for.
_DISK: Final = (
    "database or disk is full",
    "attempt to write a readonly database",
    "disk i/o error",
    "unable to open database file",
    "database disk image is malformed",
)
_LENGTH: Final = 300


def is_away(error: BaseException) -> bool:
    """Tell whether a database only has to be waited for: gone, starting, locked or cut off.

    Example:
        >>> is_away(ValueError("no"))
        False
    """
    cause = _cause(error)
    if isinstance(cause, PoolTimeoutError):
        return True
    if isinstance(cause, DBAPIError) and cause.connection_invalidated:
        return True
    if not isinstance(cause, (OperationalError, InterfaceError, InternalError)):
        return False
    return not _is_of_the_disk(cause)


def as_store_error(error: BaseException) -> StoreError | None:
    """Say an error of the database for people, if it is one that they can end; else None."""
    cause = _cause(error)
    if not (isinstance(cause, DBAPIError) and _is_of_the_disk(cause)):
        return None
    return StoreError(
        f"the Optuna database must be writable while its study runs, but: {reason(cause)}; free "
        "some space, or restore the file and its permissions."
    )


def reason(error: BaseException) -> str:
    """Give the first line of what the database said, without passwords."""
    cause = _cause(error)
    said = str(cause.orig) if isinstance(cause, DBAPIError) else str(cause)
    lines = said.strip().splitlines() or [type(cause).__name__]
    return masked(lines[0])[:_LENGTH]


def _cause(error: BaseException) -> BaseException:
    # Optuna wraps what SQLAlchemy says while it writes, and not while it reads.
    if isinstance(error, StorageInternalError) and error.__cause__ is not None:
        return error.__cause__
    return error


def _is_of_the_disk(error: DBAPIError) -> bool:
    said = str(error.orig).lower()
    return any(text in said for text in _DISK)
