"""Files that are written whole or not at all, and folders that survive a loss of power."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from study.records.errors import StoreError


def write_atomic(path: Path, content: bytes | str, *, is_durable: bool = False) -> Path:
    """Write a file by renaming a finished temporary one into place.

    A reader never sees half a file, even if the writer is interrupted.

    Args:
        path: The file; a missing folder is created.
        content: Its content.
        is_durable: Whether it must survive a loss of power, which costs a few milliseconds: the
            file reaches the disk before its name does, and its name and new folders before the
            call returns.

    Raises:
        StoreError: If the folder cannot be written to.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = None
    try:
        make_folder(path.parent, is_durable=is_durable)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            if is_durable:
                stream.flush()
                os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
        if is_durable:
            sync_folder(path.parent)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise StoreError(
            f"{path} must be writable, but is not ({error.strerror or error}); "
            f"free it or name another folder."
        ) from error
    return path


def make_folder(path: Path, *, is_durable: bool) -> None:
    """Create a folder and its parents, where they are missing; OSError if that fails.

    Args:
        path: The folder.
        is_durable: Whether the names of new folders must survive a loss of power.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    if is_durable:
        for folder in missing:
            sync_folder(folder.parent)


def sync_folder(path: Path) -> None:
    """Wait until the names of a folder's files are on disk."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
