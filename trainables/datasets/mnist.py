"""MNIST: 60,000 training and 10,000 test digits, read by torchvision from the data root."""

from __future__ import annotations

import functools
import gzip
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import Tensor
from torchvision.datasets import MNIST

from trainables.datasets.data_files import check_file, dataset_folder
from trainables.datasets.handwriting import handwriting_info, handwriting_samples
from trainables.datasets.image_settings import ImageSettings
from trainables.datasets.splits import DataFolders, DatasetInfo, Splits


@dataclass(frozen=True, slots=True, kw_only=True)
class Mnist(ImageSettings):
    """Full MNIST, or a subset of any size.

    Training and validation samples come from the 60,000, test samples from the 10,000. The data
    root holds torchvision's files as they are downloaded: ``mnist/MNIST/raw/*.gz``.
    """

    name: ClassVar[str] = "mnist"
    val_size: int = 5000
    test_size: int | None = None

    @property
    def info(self) -> DatasetInfo:
        """What is known before reading."""
        return handwriting_info(self)

    def check(self, folders: DataFolders) -> None:
        """Check the sizes and the checksums of the files.

        Raises:
            ConfigError: If a split is larger than the data.
            DataError: If a file is missing, truncated or altered.
        """
        self.check_sizes(60_000, 10_000, self.info.n_classes)
        for file, md5 in MNIST.resources:
            check_file(_raw(folders) / file, md5)

    def load(self, folders: DataFolders, replica_seed: int) -> Splits:
        """Read, scale and split."""
        train = handwriting_samples(*_read(_raw(folders), folders.cache, is_train=True), self)
        test = handwriting_samples(*_read(_raw(folders), folders.cache, is_train=False), self)
        return self.split(train, test, replica_seed)


def _raw(folders: DataFolders) -> Path:
    return dataset_folder(folders, "mnist") / "MNIST" / "raw"


@functools.lru_cache(maxsize=2)
def _read(raw: Path, cache: Path, *, is_train: bool) -> tuple[Tensor, Tensor]:
    # torchvision reads unpacked files from a folder of fixed names; the data root may be
    # read-only, so they are unpacked beside it.
    root = cache / "mnist"
    for file, md5 in MNIST.resources:
        if file.startswith("train") == is_train:
            _unpack(raw / file, root / "MNIST" / "raw" / file.removesuffix(".gz"), md5)
    dataset = _OneHalf(root, train=is_train)
    return dataset.data, dataset.targets


class _OneHalf(MNIST):  # type: ignore[misc] # torchvision ships no types
    # torchvision asks for the files of both halves even when it reads one.
    raw_folder = property(lambda self: os.path.join(self.root, "MNIST", "raw"))

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
