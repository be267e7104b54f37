"""The files of MNIST: whether they are whole, and what they say, by torchvision."""

from __future__ import annotations

import functools
import gzip
import os
import shutil
from pathlib import Path

from jaxtyping import Int, UInt8
from torch import Tensor
from torchvision.datasets import MNIST

from trainables.datasets.data_files import check_file

_RAW = Path("MNIST", "raw")


def check_digits(home: Path) -> None:
    """Check the checksums of all files.

    Args:
        home: The dataset's folder in the data root.

    Raises:
        DataError: If one is missing, truncated or altered.
    """
    for file, md5 in MNIST.resources:
        check_file(home / _RAW / file, md5)


@functools.lru_cache(maxsize=2)
def read_digits(
    home: Path, cache: Path, *, is_train: bool
) -> tuple[UInt8[Tensor, "sample height width"], Int[Tensor, " sample"]]:
    """Read one half of the digits.

    Args:
        home: The dataset's folder in the data root.
        cache: Where unpacked files are kept.
        is_train: Whether the 60,000 are read, or the 10,000.

    Returns:
        Pixels and classes.

    Raises:
        DataError: If a file is missing, truncated or altered.
    """
    # torchvision reads unpacked files from a folder of fixed names; the data root may be
    # read-only, so they are unpacked beside it.
    root = cache / "mnist"
    for file, md5 in MNIST.resources:
        if file.startswith("train") == is_train:
            _unpack(home / _RAW / file, root / _RAW / file.removesuffix(".gz"), md5)
    dataset = _OneSplit(root, train=is_train)
    return dataset.data, dataset.targets


class _OneSplit(MNIST):  # type: ignore[misc] # torchvision ships no types
    # torchvision asks for the files of both halves even when it reads one.
    raw_folder = property(lambda self: os.path.join(self.root, _RAW))

    def _check_exists(self) -> bool:
        return True


def _unpack(archive: Path, target: Path, md5: str) -> None:
    if target.exists():
        return
    check_file(archive, md5)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with gzip.open(archive) as source, partial.open("wb") as sink:
        shutil.copyfileobj(source, sink)
    partial.replace(target)
