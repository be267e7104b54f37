"""The files that the data root holds of a dataset, compared with what was published."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from rich.filesize import decimal

from study.data.http_download import DownloadError
from trainables.datasets import DATASETS, DataFolders
from trainables.datasets.archives import ArchiveError, check_readable
from trainables.datasets.data_files import dataset_folder
from trainables.datasets.glove import check_glove, find_glove
from trainables.datasets.sources import SourceFile, source_files
from trainables.errors import TrainableError
from trainables.names import printable

FileState: TypeAlias = Literal["ok", "whole", "missing", "damaged", "different"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCheck:
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
    state: FileState
    size: int | None
    detail: str

    @property
    def is_usable(self) -> bool:
        """True if it is the published file as far as can be known."""
        return self.state in ("ok", "whole")

    @property
    def verdict(self) -> str:
        """The state with its detail."""
        return f"{self.state}: {self.detail}" if self.detail else self.state

    @property
    def size_text(self) -> str:
        """The size for people."""
        return "" if self.size is None else decimal(self.size)


def check_file(path: Path, source: SourceFile) -> FileCheck:
    """Compare a file with what was published; reads all of it.

    Args:
        path: The file, which may have any name.
        source: What it should be.

    Raises:
        DownloadError: If the file is there and may not be read.
    """
    try:
        if not path.is_file():
            return FileCheck(path=source.path, state="missing", size=None, detail="")
        size = path.stat().st_size
        state, detail = _compare(path, size, source)
    except OSError as error:
        raise DownloadError(
            f"{path} must be readable, but is not ({error.strerror or error}); give yourself the "
            "right to read it."
        ) from error
    return FileCheck(path=source.path, state=state, size=size, detail=detail)


def _compare(path: Path, size: int, source: SourceFile) -> tuple[FileState, str]:
    checksum = source.checksum
    digest = None if checksum is None else _digest(path, checksum.algorithm)
    if checksum is not None and digest == checksum.digest:
        return "ok", f"{checksum.algorithm} as published"
    if reason := _read_error(path, source):
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


def _read_error(path: Path, source: SourceFile) -> str:
    # gzip and zip carry checksums of their own, which reading to the end compares.
    if not path.stat().st_size:
        return "it is empty"
    try:
        if source.path.endswith((".gz", ".tgz")):
            check_readable(path)
        elif source.path.endswith((".zip", ".npz")):
            check_readable(path, is_zip=True)
        elif source.path.endswith(".json"):
            json.loads(path.read_bytes())
    except (ArchiveError, ValueError, RecursionError) as error:
        return printable(error.reason if isinstance(error, ArchiveError) else str(error), 200)
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCheck:
    """One dataset as it was found.

    Attributes:
        name: Its name.
        files: Its published files, and those of the sources that it needs.
        others: What else is in its folder, of which nothing is known.
        problem: Why it cannot be used with its default settings, or None if it can.
    """

    name: str
    files: tuple[FileCheck, ...]
    unknown_files: tuple[str, ...]
    problem: str | None


def check_dataset(name: str, root: Path | None) -> DatasetCheck:
    """Check the files of a dataset, by their checksums and by the dataset itself.

    A dataset may be usable without all of its published files: with some of them unpacked, or
    with fewer than all, or with others. A damaged file is a problem even so.

    Raises:
        DataError: If the dataset has files and there is no data root.
        DownloadError: If a file is there and may not be read.
    """
    # A check writes nothing; what did all the same would be gone at once.
    with tempfile.TemporaryDirectory() as cache:
        folders = DataFolders(root=root, cache=Path(cache))
        sources = source_files(name)
        if not sources:
            problem = _problem(name, folders, ())
            return DatasetCheck(name=name, files=(), unknown_files=(), problem=problem)
        home = dataset_folder(folders, name)
        files = tuple(check_file(home.parent / file.path, file) for file in sources)
        problem = _problem(name, folders, files)
    return DatasetCheck(
        name=name, files=files, unknown_files=_unknown_files(home, sources), problem=problem
    )


def _problem(name: str, folders: DataFolders, files: Iterable[FileCheck]) -> str | None:
    # A dataset may look at less of a file than all, and what has no reader is its files.
    bad: tuple[FileState, ...] = ("damaged",)
    try:
        if name in DATASETS:
            DATASETS[name]().check(folders)
        elif name == "glove":
            check_glove(find_glove(folders))
        else:
            bad = ("damaged", "different", "missing")
    except TrainableError as error:
        return str(error)
    for file in files:
        if file.state in bad:
            remedy = f"fetch it with 'challenger-study data fetch {name}'."
            return f"{file.path} is {file.verdict}; {remedy}"
    return None


def _unknown_files(home: Path, sources: Iterable[SourceFile]) -> tuple[str, ...]:
    # One level is enough to see an unpacked archive or a part; below it may be thousands.
    known = {home.parent / file.path for file in sources}
    known |= {folder for path in known for folder in path.parents}
    found = sorted(home.iterdir()) if home.is_dir() else []
    return tuple(str(path.relative_to(home.parent)) for path in found if path not in known)
