"""Says what is wrong with a trial's folder when it cannot be written to."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainables.errors import StorageError


def append_line_durably(path: Path, line: str) -> None:
    """Add a line to a file durably, in the place of a last one that was not finished.

    Raises:
        StorageError: If the file cannot be written; its whole lines are as they were.
    """
    with storage_errors(path.parent), path.open("a+b") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def unlinked_on_exit(partial: Path) -> Iterator[None]:
    """Leave nothing of a file that could not be finished."""
    try:
        yield
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Turn what the operating system says into one message.

    Raises:
        StorageError: If the folder is full, read-only, not mounted here or gone. Whoever runs
            trials makes their folders: one that is missing is not made anew, since that would
            write below the point where the storage should be mounted.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{folder} must be writable on {socket.gethostname()}, but: "
            f"{error.strerror or error}; free some space there, or mount the study's storage."
        ) from error
