"""GloVe: a vector of 100 numbers per word, from the official text file or a packed copy."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from trainables.datasets.archives import archive_errors, archived_files, bounded_lines
from trainables.datasets.data_files import dataset_folder
from trainables.datasets.splits import DataFolders
from trainables.errors import DataError

DIMENSION = 100

_TEXT = "glove.6B.100d.txt"
_ZIP = "glove.6B.zip"
_PACKED = "glove.6B.100d.top60k.f16.npz"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class WordVectors:
    """Words and their vectors."""

    words: tuple[str, ...]
    vectors: Float32[np.ndarray, "word dimension"]


def find_glove(folders: DataFolders) -> Path:
    """Return the most complete file of vectors in the data root.

    Raises:
        DataError: If there is none.
    """
    home = dataset_folder(folders, "glove")
    for name in (_TEXT, _ZIP, _PACKED):
        if (home / name).is_file():
            return home / name
    raise DataError(
        f"{home} holds no word vectors, which every text dataset needs; put {_TEXT}, {_ZIP} or "
        f"{_PACKED} there, or name another data root with --data-root or CHALLENGER_DATA."
    )


def check_glove(path: Path) -> None:
    """Check that the file is readable, without reading all of a text file.

    Raises:
        DataError: If it is truncated or no file of vectors.
    """
    if path.name == _PACKED:
        _read_packed(path, None)
        return
    _vector(path, 1, next(_lines(path), b""))
    if path.name == _TEXT:
        _check_last_line(path)


def read_glove(path: Path, wanted: Collection[str] | None = None) -> WordVectors:
    """Read the vectors of the wanted words that the file has, or of all.

    Raises:
        DataError: If the file is truncated or no file of vectors.
    """
    if path.name == _PACKED:
        return _read_packed(path, wanted)
    return _read_lines(path, wanted)


def _read_packed(path: Path, wanted: Collection[str] | None) -> WordVectors:
    for _ in archived_files(path):
        pass  # within the limits
    # Opened here, since numpy leaves a file that it cannot read open.
    with archive_errors(path), path.open("rb") as file, np.load(file) as arrays:
        words = arrays["words"].tobytes().decode().split("\n")
        vectors = arrays["vectors"]
    if vectors.shape != (len(words), DIMENSION):
        raise DataError(
            f"{path} has {len(words)} words and vectors of shape {vectors.shape}, where "
            f"{(len(words), DIMENSION)} belongs; replace it by a fresh copy."
        )
    if vectors.dtype.kind != "f" or not np.isfinite(vectors).all():
        raise DataError(
            f"{path} must hold finite numbers, but its vectors of {vectors.dtype} do not; replace "
            "it by a fresh copy."
        )
    kept = [i for i, word in enumerate(words) if wanted is None or word in wanted]
    return WordVectors(
        words=tuple(words[i] for i in kept), vectors=vectors[kept].astype(np.float32)
    )


def _read_lines(path: Path, wanted: Collection[str] | None) -> WordVectors:
    names = None if wanted is None else {word.encode() for word in wanted}
    words, rows = [], []
    for number, line in enumerate(_lines(path), start=1):
        word = line.partition(b" ")[0]
        if names is None or word in names:
            with archive_errors(path):
                words.append(word.decode())
            rows.append(_vector(path, number, line))
    return WordVectors(
        words=tuple(words), vectors=np.array(rows, dtype=np.float32).reshape(-1, DIMENSION)
    )


def _vector(path: Path, number: int, line: bytes) -> Float32[np.ndarray, " dimension"]:
    values = line.split(b" ")[1:]
    try:
        with np.errstate(over="ignore"):
            vector = np.array([float(value) for value in values], dtype=np.float32)
    except ValueError:
        vector = np.zeros(0, dtype=np.float32)
    if len(vector) != DIMENSION or not np.isfinite(vector).all():
        raise DataError(
            f"{path} is damaged: line {number} is no word with {DIMENSION} finite numbers, but "
            f"{line[:40].decode(errors='replace')!r}; replace it by a fresh copy."
        )
    return vector


def _check_last_line(path: Path) -> None:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 10_000))
        last = file.read().removesuffix(b"\n").rpartition(b"\n")[2]
    if len(last.split(b" ")) != DIMENSION + 1:
        raise DataError(f"{path} ends in the middle of a line; replace it by a fresh copy.")


def _lines(path: Path) -> Iterator[bytes]:
    lines = _text_lines(path) if path.name == _TEXT else _zipped_lines(path)
    # With the mark, the first word would be another one.
    yield next(lines, b"").removeprefix(_BYTE_ORDER_MARK)
    yield from lines


def _text_lines(path: Path) -> Iterator[bytes]:
    with archive_errors(path), path.open("rb") as file:
        yield from bounded_lines(path, file)


def _zipped_lines(path: Path) -> Iterator[bytes]:
    for file in archived_files(path):
        if file.name == _TEXT:
            yield from file.lines()
            return
    raise DataError(f"{path} holds no {_TEXT}; replace it by a fresh copy.")
