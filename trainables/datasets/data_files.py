"""Files of a dataset: location in the data root, checksums and cached arrays."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from trainables.datasets.splits import DataFolders
from trainables.errors import DataError
from trainables.runtime.storage_errors import atomic_file, storage_errors


def dataset_folder(folders: DataFolders, dataset: str) -> Path:
    """Return a dataset's folder in the data root.

    Raises:
        DataError: If there is no data root.
    """
    if folders.root is None:
        raise DataError(
            f"dataset {dataset!r} is read from a data root, and none was given; name one with "
            "--data-root or CHALLENGER_DATA, or use dataset 'digits', which needs none."
        )
    return folders.root / dataset


def check_file(path: Path, md5: str) -> None:
    """Check a file against its published checksum.

    Raises:
        DataError: If it is missing, truncated or altered.
    """
    if not path.is_file():
        raise DataError(
            f"{path} is missing; put the file with md5 {md5} there, or name another data root "
            "with --data-root or CHALLENGER_DATA."
        )
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != md5:
        raise DataError(
            f"{path} is damaged: its md5 should be {md5}, but is {found} "
            f"({path.stat().st_size} bytes); replace it by a fresh copy."
        )


def cache_path(folder: Path, identity: object) -> Path:
    """Return the file of arrays that depend on ``identity``, plain data, alone."""
    text = json.dumps(identity, sort_keys=True)
    return folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.npz"


def ensure_cached(path: Path, make: Callable[[], Mapping[str, np.ndarray]]) -> None:
    """Write arrays for ``np.load`` atomically, unless the file exists undamaged.

    Raises:
        StorageError: If the file cannot be written.
    """
    if _is_whole(path):
        return
    arrays = make()
    with storage_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            np.savez(file, allow_pickle=False, **arrays)


def _is_whole(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (FileNotFoundError, zipfile.BadZipFile, EOFError):
        return False
