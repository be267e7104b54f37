"""SQLite files that several processes share: URLs, busy errors and write-ahead logging."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

_PREFIX: Final = "sqlite:///"
_BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_BUSY_TIMEOUT_S: Final = 60
_PAUSE_S: Final = 0.02


def sqlite_url(path: Path) -> str:
    """Return the URL of an SQLite file."""
    return f"{_PREFIX}{path}"


def sqlite_path(url: str) -> Path | None:
    """Return the file of an SQLite URL, or None for a server's.

    Example:
        >>> sqlite_path("sqlite:////studies/optuna.db")
        PosixPath('/studies/optuna.db')
        >>> sqlite_path("postgresql://host/studies")
    """
    return Path(url.removeprefix(_PREFIX)) if url.startswith(_PREFIX) else None


def is_busy(error: BaseException) -> bool:
    """Check whether SQLite failed only because another process uses the file."""
    # The low byte is the primary code, the rest its details.
    return (
        isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY
    )


def use_write_ahead_log(path: Path) -> None:
    """Switch a file to write-ahead logging; a missing file is created.

    The mode is stored in the file, and readers such as ``status`` then never wait for a writer.
    Two processes that switch the same new file at once would deadlock: SQLite refuses one of them
    immediately, whatever its timeout (https://sqlite.org/c3ref/busy_handler.html), so it is
    retried here.

    Raises:
        sqlite3.Error: If the file cannot be opened or written, or is busy for a minute.
    """
    end = time.monotonic() + _BUSY_TIMEOUT_S
    with closing(sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S)) as connection:
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
            except sqlite3.Error as error:
                if not is_busy(error) or time.monotonic() > end:
                    raise
                time.sleep(_PAUSE_S)
            else:
                return
