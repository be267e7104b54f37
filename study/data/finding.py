"""What a file of the data root is, compared with what was published."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from rich.filesize import decimal

from study.data.errors import DownloadError
from trainables.datasets.sources import SourceFile

State: TypeAlias = Literal["ok", "whole", "missing", "damaged", "different"]

_CHUNK = 1 << 20
# What a truncated or altered archive raises.
_UNREADABLE = (
    EOFError,
    gzip.BadGzipFile,
    zlib.error,
    zipfile.BadZipFile,
    ValueError,
    RuntimeError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One file as it was found.

    Attributes:
        path: Place below the data root.
        state: ``ok``: it has the published checksum; ``whole``: none is published, but its size
            is right and it can be read to its end; ``missing``; ``damaged``: it cannot be read to
            its end; ``different``: it can be read, but is not the published file.
        size: Size in bytes, or None if it is missing.
        detail: What was compared, or what is wrong.
    """

    path: str
    state: State
    size: int | None
    detail: str

    @property
    def is_usable(self) -> bool:
        """Whether it is the published file as far as can be known."""
        return self.state in ("ok", "whole")

    @property
    def verdict(self) -> str:
        """The state with its detail."""
        return f"{self.state}: {self.detail}" if self.detail else self.state

    @property
    def shown_size(self) -> str:
        """The size for people."""
        return "" if self.size is None else decimal(self.size)


def examine(path: Path, source: SourceFile) -> Finding:
    """Compare a file with what was published; reads all of it.

    Args:
        path: The file, which may have any name.
        source: What it should be.

    Raises:
        DownloadError: If the file is there and may not be read.
    """
    try:
        if not path.is_file():
            return Finding(path=source.path, state="missing", size=None, detail="")
        size = path.stat().st_size
        state, detail = _compared(path, size, source)
    except OSError as error:
        raise DownloadError(
            f"{path} must be readable, but is not ({error.strerror or error}); give yourself the "
            "right to read it."
        ) from error
    return Finding(path=source.path, state=state, size=size, detail=detail)


def _compared(path: Path, size: int, source: SourceFile) -> tuple[State, str]:
    checksum = source.checksum
    digest = None if checksum is None else _digest(path, checksum.algorithm)
    if checksum is not None and digest == checksum.digest:
        return "ok", f"{checksum.algorithm} as published"
    if reason := _flaw(path, source):
        return "damaged", f"it cannot be read to its end: {reason} ({size} bytes)"
    if checksum is not None:
        should = f"its {checksum.algorithm} should be {checksum.digest}"
        return "different", f"{should}, but is {digest} ({size} bytes)"
    if source.size not in (None, size):
        return "different", f"it should have {source.size} bytes, but has {size}"
    checked = "readability" if source.size is None else "size and readability"
    return "whole", f"no checksum is published; {checked} checked"


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _flaw(path: Path, source: SourceFile) -> str:
    # gzip and zip carry checksums of their own, which reading to the end compares.
    if not path.stat().st_size:
        return "it is empty"
    try:
        if source.path.endswith((".gz", ".tgz")):
            with gzip.open(path) as stream:
                while stream.read(_CHUNK):
                    pass
        elif source.path.endswith((".zip", ".npz")):
            with zipfile.ZipFile(path) as archive:
                bad = archive.testzip()
                return f"bad checksum of {bad}" if bad else ""
        elif source.path.endswith(".json"):
            json.loads(path.read_bytes())
    except _UNREADABLE as error:
        return str(error)
    return ""
