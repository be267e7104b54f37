"""Checkpoints: written atomically, named by their checksum, loaded without running code.

Each is one file ``epoch-<epoch>-<sha256>.pt``, renamed into place. The newest whose content
matches its name is loaded, so that a truncated or altered file is skipped for the one before it.
"""

from __future__ import annotations

import hashlib
import io
import logging
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from trainables.errors import CheckpointError
from trainables.runtime.storage_errors import atomic_file, storage_errors

logger = logging.getLogger(__name__)

_KEEP_LAST = 2
_DIGITS = 32


def save(folder: Path, epoch: int, payload: Mapping[str, Any]) -> Path:
    """Write a checkpoint durably and keep it, the one before and any after it.

    Those after it are damaged, or the trial would have resumed from them.

    Args:
        folder: Folder of a trial's checkpoints.
        epoch: Epochs trained so far.
        payload: Tensors, numbers, texts, lists and mappings only.

    Raises:
        StorageError: If the folder is missing or not writable; other checkpoints are kept.
    """
    return write(folder, epoch, encode(payload))


def encode(payload: Mapping[str, Any]) -> bytes:
    """Return the content of a checkpoint, with copies of the tensors."""
    buffer = io.BytesIO()
    torch.save(dict(payload), buffer)
    return buffer.getvalue()


def write(folder: Path, epoch: int, content: bytes) -> Path:
    """Write an encoded checkpoint, as :func:`save` does.

    Raises:
        StorageError: As :func:`save`.
    """
    digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
    path = folder / f"epoch-{epoch:08d}-{digest}.pt"
    with storage_errors(folder):
        with atomic_file(path) as file:
            file.write(content)
        up_to_this = [other for other in _newest_first(folder) if other.name <= path.name]
        for old in up_to_this[_KEEP_LAST:]:
            old.unlink(missing_ok=True)
    return path


def load_latest(folder: Path) -> dict[str, Any] | None:
    """Load the newest undamaged checkpoint of a folder, or None if there is none.

    Raises:
        CheckpointError: If an undamaged file holds anything but tensors and plain data.
    """
    for path in _newest_first(folder):
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
        if path.stem.rpartition("-")[2] == digest:
            return _decode(content, path)
        logger.warning("%s is damaged (sha256 %s); the one before it is used.", path, digest)
    return None


def latest_epoch(folder: Path) -> int:
    """Return the epoch of the newest checkpoint of a folder, damaged or not; 0 if none."""
    return max((int(path.name.split("-")[1]) for path in _newest_first(folder)), default=0)


def _decode(content: bytes, path: Path) -> dict[str, Any]:
    try:
        payload: dict[str, Any] = torch.load(
            io.BytesIO(content), map_location="cpu", weights_only=True
        )
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors and plain data, which is never loaded: "
            f"{str(error).splitlines()[0]} It is no checkpoint of this program; move it away."
        ) from None
    return payload


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*.pt"), reverse=True)
