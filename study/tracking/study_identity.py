"""The identity of a study in MLflow, where studies of several storages may have one name."""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path
from typing import Final

from study.records.errors import StoreError

ID_FILE: Final = "mlflow-id"
"""The file's name in the folder of a study."""

_ID: Final = re.compile(r"[0-9a-f]{32}\n?")


def read_identity(folder: Path) -> str | None:
    """Return the identity of the study in a folder; None where its file is missing or damaged."""
    try:
        text = (folder / ID_FILE).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None
    return text.strip() if _ID.fullmatch(text) else None


def ensure_identity(folder: Path) -> str:
    """Return the identity of the study in a folder, made and stored durably at the first time.

    Raises:
        StoreError: If the folder cannot be written to.
    """
    found = read_identity(folder)
    if found is not None:
        return found
    made = uuid.uuid4().hex
    partial = folder / f".{ID_FILE}.{os.getpid()}"
    try:
        with partial.open("w", encoding="ascii") as file:
            file.write(f"{made}\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(folder / ID_FILE)
    except OSError as error:
        raise StoreError(
            f"{folder} must be writable for the identity of its study in MLflow, but: "
            f"{error.strerror or error}; free some space or repair the permissions."
        ) from None
    return made
