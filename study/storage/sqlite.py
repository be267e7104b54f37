"""SQLite files that several processes share: URLs, busy errors and write-ahead logging."""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from study.storage.atomic_write import sync_folder

_BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_BUSY_TIMEOUT_S: Final = 60
_PAUSE_S: Final = 0.02


def sqlite_url(path: Path) -> str:
    """Return the URL of an SQLite file, whatever characters its path has.

    Example:
        >>> sqlite_url(Path("/studies/what?/{x}/optuna.db"))
        'sqlite:////studies/what%3F/%7Bx%7D/optuna.db'
    """
    # Imported late: it takes a third of a second, and --help needs none of it.
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(path)).render_as_string()


def sqlite_path(url: str) -> Path | None:
    """Return the file of an SQLite URL, or None for a server's.

    Example:
        >>> sqlite_path("sqlite:////studies/optuna.db?timeout=3")
        PosixPath('/studies/optuna.db')
        >>> sqlite_path("postgresql://host/studies")
    """
    if not url.startswith("sqlite"):
        return None
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        database = make_url(url).database
    except (ArgumentError, ValueError):
        # Refused where it is opened.
        return None
    return None if database in (None, "", ":memory:") else Path(database)


# Kinds of file systems over a network; SQLite's locks and shared memory fail on them.
_NETWORK_FILE_SYSTEMS: Final = (
    *("9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.s3fs"),
    *("fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"),
)


def network_file_system(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str | None:
    """Return the kind of the network file system that a path is on, or None.

    Args:
        path: The path, which may not exist yet.
        mounts: The table of mounts; where there is none, nothing is known.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    real = path.resolve()
    longest, kind = -1, ""
    for line in lines:
        _, place, found, *_ = line.split()
        # Octal escapes of blanks.
        where = Path(re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), place))
        # Of two mounts at one place the later one is seen.
        if real.is_relative_to(where) and len(where.parts) >= longest:
            longest, kind = len(where.parts), found
    return kind if kind in _NETWORK_FILE_SYSTEMS else None


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
    is_new = not path.exists()
    with closing(sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S)) as connection:
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
            except sqlite3.Error as error:
                if not is_busy(error) or time.monotonic() > end:
                    raise
                time.sleep(_PAUSE_S)
            else:
                break
    if is_new:
        # SQLite syncs the names of its logs, not the file's own.
        sync_folder(path.parent)


def checkpoint(path: Path) -> bool:
    """Copy a file's write-ahead log into it, so that it is whole alone.

    Returns:
        Whether all of it was copied: not while other processes use the file.

    Raises:
        sqlite3.Error: If the file cannot be opened or written.
    """
    if not path.exists():
        return True
    with closing(sqlite3.connect(path, timeout=1)) as connection:
        is_blocked, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not is_blocked
