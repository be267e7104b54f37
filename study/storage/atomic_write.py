"""Files that are written whole or not at all."""

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
        is_durable: Whether it must survive a loss of power, which costs a few milliseconds.

    Raises:
        StoreError: If the folder cannot be written to.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            if is_durable:
                stream.flush()
                os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise StoreError(
            f"{path} must be writable, but is not ({error.strerror or error}); "
            f"free it or name another folder."
        ) from error
    return path
