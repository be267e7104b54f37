"""Files of the data root: where they are, and whether they are what was published."""

from __future__ import annotations

import hashlib
from pathlib import Path

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
