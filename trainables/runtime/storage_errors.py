"""Durable writes to a trial's folder, and the error of a folder that cannot be written to."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from trainables.errors import StorageError


def append_line_durably(path: Path, line: str) -> None:
    """Append a line to a file and flush it to disk, in place of an unfinished last line.

    Raises:
        StorageError: If the file cannot be written; its complete lines are kept.
    """
    with storage_errors(path.parent), path.open("a+b") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a partial file that is flushed to disk and renamed to ``path`` if nothing is raised."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Convert an error of the operating system into one message.

    Raises:
        StorageError: If the folder is full, read-only, not mounted or missing. A missing folder
            is not created, since that would write below an unmounted mount point.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{folder} must be writable on {socket.gethostname()}, but: "
            f"{error.strerror or error}; free some space there, or mount the study's storage."
        ) from error
