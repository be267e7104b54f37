"""Arrays that take seconds to make, kept in the cache folder under a name that says of what."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np


def cache_path(folder: Path, identity: object) -> Path:
    """Name the file of some arrays after everything that they depend on.

    Args:
        folder: Folder of the cache; made when arrays are kept.
        identity: Plain data, equal if and only if the arrays would be.
    """
    text = json.dumps(identity, sort_keys=True)
    return folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.npz"


def keep(path: Path, make: Callable[[], Mapping[str, np.ndarray]]) -> None:
    """Make arrays and keep them for ``np.load``, unless they are kept already.

    The file is renamed into place, so that another process finds all of it or none.
    """
    if path.exists():
        return
    arrays = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    partial.replace(path)
