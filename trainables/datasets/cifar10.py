"""CIFAR-10: 50,000 training and 10,000 test images, read as torchvision stores them."""

from __future__ import annotations

import functools
import hashlib
import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from jaxtyping import Int, UInt8
from pydantic import Field
from torch import Tensor

from trainables.datasets.archives import archived_files
from trainables.datasets.data_files import check_file, dataset_folder
from trainables.datasets.samples import PixelSamples, PixelScale
from trainables.datasets.splits import DataFolders, DatasetInfo, Splits
from trainables.datasets.subset import ImageSettings
from trainables.decoding import record
from trainables.errors import DataError
from trainables.fields import Size
from trainables.runtime.storage_errors import atomic_file, storage_errors

# Mean and standard deviation of each channel over all pixels of the 50,000 training images, of
# pixels in [0, 1].
_MEAN, _STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)

_BATCH_SIZE = 10_000
_BATCHES = 5

_FOLDER = "cifar-10-batches-py"
_ARCHIVE = "cifar-10-python.tar.gz"
_ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
_FIRST_BATCH = "cifar-10-first-batch.tar.xz"
_TRAINING = tuple(f"data_batch_{number}" for number in range(1, _BATCHES + 1))
_TEST = "test_batch"
# As published.
_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageArrays:
    """Images as bytes, and their classes."""

    pixels: UInt8[Tensor, "sample channel height width"]
    targets: Int[Tensor, " sample"]


@record
class Cifar10(ImageSettings):
    """32 × 32 color images of ten classes, or a subset of any size.

    Training and validation samples come from the training batches, test samples from the test
    batch. Below ``cifar10/`` the data root holds one of: ``cifar-10-batches-py/`` as torchvision
    leaves it, the official ``cifar-10-python.tar.gz``, or ``cifar-10-first-batch.tar.xz`` with
    the first training batch and the test batch alone.

    Attributes:
        train_batches: Number of the five batches of 10,000 training images that are read, from
            the first. The scaling is always that of all five.
    """

    name: ClassVar[str] = "cifar10"
    val_size: Size = 5000
    test_size: Size | None = None
    train_batches: Annotated[int, Field(ge=1, le=_BATCHES)] = _BATCHES

    @property
    def label(self) -> str:
        """The dataset's name in results, with the number of batches unless all are read."""
        if self.train_batches == _BATCHES:
            return self.name
        return f"{self.name} (first {self.train_batches} of {_BATCHES} training batches)"

    @property
    def info(self) -> DatasetInfo:
        """Facts known before reading.

        The background is 0: the mean color if standardized, else black. No single number is
        black in all three channels, and no model pads images of this size.
        """
        return DatasetInfo(
            n_classes=10,
            input_shape=(3, 32, 32),
            domain="image",
            background=0.0,
            spread=self._gray_step,
        )

    @property
    def pool_size(self) -> int:
        """Samples for training and validation."""
        return _BATCH_SIZE * self.train_batches

    def check(self, folders: DataFolders) -> None:
        """Check the sizes and the checksums of the files.

        Raises:
            ConfigError: If a split is larger than the data.
            DataError: If a file is missing, truncated or altered.
        """
        self.check_sizes(self.pool_size, _BATCH_SIZE, self.info.n_classes)
        check_batches(dataset_folder(folders, self.name), self.train_batches)

    def load(self, folders: DataFolders, replica_seed: int) -> Splits:
        """Read, scale and split."""
        home = dataset_folder(folders, self.name)
        folder = unpack_batches(home, self.train_batches, folders.cache / self.name)
        pool = read_images(folder, _TRAINING[: self.train_batches])
        test = read_images(folder, (_TEST,))
        chosen = self.choose(pool.targets, test.targets, replica_seed)
        return Splits(
            train=self._samples(pool, chosen.train),
            val=self._samples(pool, chosen.val),
            test=self._samples(test, chosen.test),
        )

    @property
    def _gray_step(self) -> float:
        return len(_STD) / sum(_STD) if self.normalization == "standardize" else 1.0

    def _samples(self, images: ImageArrays, indices: Int[Tensor, " chosen"]) -> PixelSamples:
        is_standard = self.normalization == "standardize"
        scale = PixelScale.standard(_MEAN, _STD) if is_standard else PixelScale.unit()
        return PixelSamples(
            pixels=images.pixels[indices], targets=images.targets[indices], scale=scale
        )


def check_batches(home: Path, train_batches: int) -> None:
    """Check the md5 of the test batch and of the training batches, without writing anything.

    Raises:
        DataError: If one is missing, truncated or altered.
    """
    source, files = _source(home, train_batches), _needed(train_batches)
    if source.is_dir():
        for file in files:
            check_file(source / file, _MD5[file])
    else:
        _check_archive(source)
        _members(source, files, keep=None)


def unpack_batches(home: Path, train_batches: int, cache: Path) -> Path:
    """Return a folder that holds the batches: the data root's own, or a copy in the cache.

    Raises:
        DataError: If one is missing, truncated or altered.
        StorageError: If the cache cannot be written to.
    """
    source = _source(home, train_batches)
    if source.is_dir():
        return source
    missing = tuple(file for file in _needed(train_batches) if not _is_whole(cache / file))
    if missing:
        _check_archive(source)
        with storage_errors(cache):
            cache.mkdir(parents=True, exist_ok=True)
            _members(source, missing, keep=cache)
    return cache


@functools.lru_cache(maxsize=2)
def read_images(folder: Path, files: tuple[str, ...]) -> ImageArrays:
    """Read some batches, one after the other.

    Raises:
        DataError: If one is missing, truncated or altered.
    """
    batches = [_batch(folder / file) for file in files]
    pixels = np.concatenate([pixels for pixels, _ in batches]).reshape(-1, 3, 32, 32)
    labels = [label for _, labels in batches for label in labels]
    return ImageArrays(pixels=torch.from_numpy(pixels), targets=torch.tensor(labels))


def _needed(train_batches: int) -> tuple[str, ...]:
    return (*_TRAINING[:train_batches], _TEST)


def _source(home: Path, train_batches: int) -> Path:
    folder = home / _FOLDER
    if all((folder / file).is_file() for file in _needed(train_batches)):
        return folder
    if (home / _ARCHIVE).is_file():
        return home / _ARCHIVE
    if (home / _FIRST_BATCH).is_file() and train_batches == 1:
        return home / _FIRST_BATCH
    raise DataError(_missing(home, train_batches))


def _missing(home: Path, train_batches: int) -> str:
    folder = home / _FOLDER
    remedy = f"put {_ARCHIVE} with md5 {_ARCHIVE_MD5} into {home}"
    n_training = [*((folder / file).is_file() for file in _TRAINING), False].index(False)
    in_folder = n_training if (folder / _TEST).is_file() else 0
    found = max(in_folder, int((home / _FIRST_BATCH).is_file()))
    if found:
        return (
            f"{home} holds {found} of CIFAR-10's 5 training batches in a row, but train_batches "
            f"is {train_batches}; set train_batches to {found}, or {remedy}."
        )
    what = f"{folder} lacks {_TEST}" if n_training else f"{home} holds no CIFAR-10"
    return f"{what}; {remedy}, or name another data root with --data-root or CHALLENGER_DATA."


def _check_archive(archive: Path) -> None:
    if archive.name == _ARCHIVE:
        check_file(archive, _ARCHIVE_MD5)


def _is_whole(path: Path) -> bool:
    return path.is_file() and hashlib.md5(path.read_bytes()).hexdigest() == _MD5[path.name]


def _members(archive: Path, files: tuple[str, ...], *, keep: Path | None) -> None:
    # One pass over the compressed stream; only members with the published checksum are written.
    missing = set(files)
    for member in archived_files(archive):
        file = PurePosixPath(member.name).name
        if file in missing:
            _keep(archive, file, member.read(), keep)
            missing.remove(file)
        if not missing:
            break
    if missing:
        raise DataError(f"{archive} holds no {min(missing)}; replace it by a fresh copy.")


def _keep(archive: Path, file: str, content: bytes, folder: Path | None) -> None:
    found = hashlib.md5(content).hexdigest()
    if found != _MD5[file]:
        raise DataError(
            f"{archive} is damaged: the md5 of its {file} should be {_MD5[file]}, but is "
            f"{found} ({len(content)} bytes); replace it by a fresh copy."
        )
    if folder is not None:
        with atomic_file(folder / file) as target:
            target.write(content)


def _batch(path: Path) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], list[int]]:
    # The batches are Python pickles, which can run code when loaded: only content with the
    # published checksum is loaded, and it may name nothing but numpy's arrays.
    check_file(path, _MD5[path.name])
    content = _ArrayUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    return content["data"], content["labels"]


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        found = _GLOBALS.get((module, name))
        if found is None:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a batch of images")
        return found


def _empty_array(kind: object, shape: tuple[int, ...], letter: object) -> object:
    # numpy's _reconstruct, whose module has moved since these pickles were made.
    del kind, letter
    return np.empty(shape, np.int8)


_GLOBALS: Mapping[tuple[str, str], object] = MappingProxyType(
    {
        ("numpy.core.multiarray", "_reconstruct"): _empty_array,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }
)
