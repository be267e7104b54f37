"""The files of CIFAR-10: which form the data root holds, whether they are whole, what they say."""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import lzma
import os
import pickle
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor
from torchvision.datasets import CIFAR10

from trainables.datasets.data_files import check_file
from trainables.errors import DataError

_FOLDER: str = CIFAR10.base_folder
_ARCHIVE: str = CIFAR10.filename
_FIRST_BATCH = "cifar-10-first-batch.tar.xz"
TRAINING: tuple[str, ...] = tuple(file for file, _ in CIFAR10.train_list)
TEST = "test_batch"
# What a truncated or altered archive raises.
_UNREADABLE = (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError)
_MD5: Mapping[str, str] = dict((*CIFAR10.train_list, *CIFAR10.test_list))


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageArrays:
    """Images as bytes, and their classes."""

    pixels: UInt8[Tensor, "sample channel height width"]
    targets: Int[Tensor, " sample"]


def check_batches(home: Path, train_batches: int) -> None:
    """Check the checksums of the batches, without writing anything.

    Args:
        home: The dataset's folder in the data root.
        train_batches: Number of training batches that are needed, beside the test batch.

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


def unpacked(home: Path, train_batches: int, cache: Path) -> Path:
    """Give a folder that holds the batches: the data root's own, or a copy in the cache.

    Raises:
        DataError: If one is missing, truncated or altered.
    """
    source = _source(home, train_batches)
    if source.is_dir():
        return source
    missing = tuple(file for file in _needed(train_batches) if not _is_whole(cache / file))
    if missing:
        _check_archive(source)
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
    return (*TRAINING[:train_batches], TEST)


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
    remedy = f"put {_ARCHIVE} with md5 {CIFAR10.tgz_md5} into {home}"
    n_training = [*((folder / file).is_file() for file in TRAINING), False].index(False)
    in_folder = n_training if (folder / TEST).is_file() else 0
    found = max(in_folder, int((home / _FIRST_BATCH).is_file()))
    if found:
        return (
            f"{home} holds {found} of CIFAR-10's 5 training batches in a row, but train_batches "
            f"is {train_batches}; set train_batches to {found}, or {remedy}."
        )
    what = f"{folder} lacks {TEST}" if n_training else f"{home} holds no CIFAR-10"
    return f"{what}; {remedy}, or name another data root with --data-root or CHALLENGER_DATA."


def _check_archive(archive: Path) -> None:
    if archive.name == _ARCHIVE:
        check_file(archive, CIFAR10.tgz_md5)


def _is_whole(path: Path) -> bool:
    return path.is_file() and hashlib.md5(path.read_bytes()).hexdigest() == _MD5[path.name]


def _members(archive: Path, files: tuple[str, ...], *, keep: Path | None) -> None:
    # One pass over the archive, which is a compressed stream; only members with the published
    # checksum get their final name.
    missing = set(files)
    try:
        with tarfile.open(archive, "r|*") as tar:
            for member in tar:
                file = PurePosixPath(member.name).name
                stream = tar.extractfile(member) if file in missing else None
                if stream is not None:
                    _keep(archive, file, stream.read(), keep)
                    missing.remove(file)
                if not missing:
                    break
    except _UNREADABLE as error:
        raise DataError(f"{archive} is damaged ({error}); replace it by a fresh copy.") from error
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
        partial = folder / f".{file}.{os.getpid()}.tmp"
        partial.write_bytes(content)
        partial.replace(folder / file)


def _batch(path: Path) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], list[int]]:
    # The batches are Python pickles, which may run anything when they are loaded: only content
    # with the published checksum is, and even that may name nothing but numpy's arrays.
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


_GLOBALS: Mapping[tuple[str, str], object] = {
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}
