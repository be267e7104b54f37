"""The Optuna database itself: where it is, whether it is still there, and how it is opened."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from optuna.storages import RDBStorage

from study.errors import StoreError
from study.sqlite_file import sqlite_path, use_write_ahead_log
from study.store.connection import connection_options
from study.store.outage import unusable

_MADE_MEANWHILE: Final = (
    "already exists",
    "UNIQUE constraint failed",
    "duplicate key value",
)
_TRIES: Final = 5
_PAUSE_S: Final = 0.2


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
        return cls(path, None if path is None else _identity(path))

    def require_unchanged(self) -> None:
        """Make sure that it is still that file.

        Raises:
            StoreError: If it was deleted or replaced.
        """
        if self.path is not None and _identity(self.path) != self.identity:
            raise StoreError(
                f"the Optuna database {self.path} must stay in its place while its study runs, "
                "but was deleted or replaced; put it back."
            )


def require_file(url: str) -> None:
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
        return _made(url, options)
    except Exception as error:
        raise unusable(url, error) from None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _made(url: str, options: Mapping[str, Any]) -> RDBStorage:
    """Open a database, in which another study may be making the same tables just now."""
    for _ in range(_TRIES - 1):
        try:
            return RDBStorage(url, engine_kwargs=dict(options))
        except Exception as error:
            # Each database has a word of its own for it, and Optuna wraps some.
            if not any(sign in str(error) for sign in _MADE_MEANWHILE):
                raise
        time.sleep(_PAUSE_S)
    return RDBStorage(url, engine_kwargs=dict(options))
