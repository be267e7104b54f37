"""Word vectors and corpora in the formats of the real ones, small enough to be read by eye."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

TEXT, ZIP, PACKED = "glove.6B.100d.txt", "glove.6B.zip", "glove.6B.100d.top60k.f16.npz"


def vectors_of(words: Sequence[str]) -> np.ndarray:
    """Return each word 100 numbers that half precision and four decimals write exactly."""
    place = np.arange(1, len(words) + 1)[:, None]
    return ((place * 7 + np.arange(100)) % 33 - 16) / 8 + 0.0625 * (place % 2)


def glove_text(words: Sequence[str]) -> str:
    """Write vectors as the official file does."""
    rows = vectors_of(words)
    return "".join(
        f"{word} {' '.join(f'{value:.4f}' for value in row)}\n"
        for word, row in zip(words, rows, strict=True)
    )


def put_glove(root: Path, words: Sequence[str]) -> Path:
    """Put the text file into a data root."""
    path = root / "glove" / TEXT
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(glove_text(words), encoding="utf-8")
    return path


def put_packed_glove(root: Path, words: Sequence[str]) -> Path:
    """Put the packed copy into a data root."""
    path = root / "glove" / PACKED
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        words=np.frombuffer("\n".join(words).encode(), dtype=np.uint8),
        rank=np.arange(len(words), dtype=np.int32),
        vectors=vectors_of(words).astype(np.float16),
    )
    return path


def pack(archive: Path, contents: Mapping[str, bytes]) -> None:
    """Write a compressed archive with these members, in this order."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
