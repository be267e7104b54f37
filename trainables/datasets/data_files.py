"""Files of a dataset: location in the data root, checksums, archives and cached arrays."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from trainables.datasets.splits import DataFolders
from trainables.errors import DataError


def dataset_folder(folders: DataFolders, dataset: str) -> Path:
    """Give a dataset's folder in the data root.

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
    """Compare a file with its published checksum.

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


def archived_files(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Give path and content of all files in a ``.tar.gz`` archive, in its order.

    All of it is decompressed first, into memory, so that its own checksum is compared.

    Raises:
        DataError: If the archive is truncated or altered.
    """
    try:
        content = io.BytesIO(gzip.decompress(archive.read_bytes()))
        with tarfile.open(fileobj=content, mode="r:") as tar:
            for member in tar:
                stream = tar.extractfile(member)
                if stream is not None:
                    yield member.name, stream.read()
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{archive} is damaged ({error}); replace it by a fresh copy.") from error


def cache_path(folder: Path, identity: object) -> Path:
    """Name the file of some arrays after everything that they depend on.

    Args:
        folder: Folder of the cache; made when arrays are kept.
        identity: Plain data, equal if and only if the arrays would be.
    """
    text = json.dumps(identity, sort_keys=True)
    return folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.npz"


def ensure_cached(path: Path, make: Callable[[], Mapping[str, np.ndarray]]) -> None:
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
