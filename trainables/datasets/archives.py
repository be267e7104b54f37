"""Archives of others, read within limits: tar files of any compression, zip files, gzip files.

An archive may unpack to more than a disk holds, name files outside its folder or be damaged
anywhere. Nothing is written here, and whatever is wrong is a DataError.
"""

from __future__ import annotations

import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import cast

from trainables.errors import DataError
from trainables.names import printable

_CHUNK = 1 << 20
_LONGEST_LINE = 1 << 16
# What Python's readers raise for truncated, altered, encrypted and invented archives.
_UNREADABLE = (
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """What an archive may hold.

    Attributes:
        members: Number of files and folders.
        total_bytes: Size of all files, unpacked.
        ratio: Unpacked bytes per packed byte, beyond the first ``free_bytes``.
        free_bytes: Size up to which any ratio is accepted.
    """

    members: int = 200_000
    total_bytes: int = 8 << 30
    ratio: int = 100
    free_bytes: int = 16 << 20

    def most_bytes(self, packed: int) -> int:
        """Return how many bytes an archive of ``packed`` bytes may unpack to."""
        return min(self.total_bytes, max(self.free_bytes, self.ratio * packed))


DEFAULT_LIMITS = ArchiveLimits()
"""Twice what the largest published file (PTB-XL) holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedFile:
    """A file of an archive, to be read before the next one is asked for.

    Attributes:
        archive: The archive.
        name: Path in the archive, relative and without ``..``.
        size: Size in bytes.
        open: Opens its content.
    """

    archive: Path
    name: str
    size: int
    open: Callable[[], io.BufferedIOBase]

    def read(self) -> bytes:
        """Return the content.

        Raises:
            ArchiveError: If the archive is truncated or altered.
        """
        with archive_errors(self.archive), self.open() as stream:
            return stream.read()

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of the content, each with its end.

        Raises:
            ArchiveError: If the archive is truncated or altered, or a line has 65,536 bytes.
        """
        with archive_errors(self.archive), self.open() as stream:
            yield from bounded_lines(self.archive, stream)


class ArchiveError(DataError):
    """An archive is truncated or altered, exceeds the limits, or holds what it may not.

    Attributes:
        reason: What is wrong, without control characters.
    """

    def __init__(self, path: Path, reason: str) -> None:
        """Build the message."""
        self.reason = printable(reason, 200)
        super().__init__(f"{path} is damaged ({self.reason}); replace it by a fresh copy.")


def archived_files(path: Path, limits: ArchiveLimits = DEFAULT_LIMITS) -> Iterator[ArchivedFile]:
    """Yield the files of a zip file or of a tar file of any compression, in their order.

    Every file's path lies inside the folder into which it might be unpacked, and after the last
    one the checksum of the whole has been compared.

    Raises:
        ArchiveError: If the archive is truncated or altered, exceeds the limits, or holds a link,
            a device, or a path that leads out of its folder.
    """
    with archive_errors(path):
        yield from (_zipped if path.suffix in (".zip", ".npz") else _tarred)(path, limits)


def zip_directory(path: Path, limits: ArchiveLimits = DEFAULT_LIMITS) -> list[zipfile.ZipInfo]:
    """Return what a zip file says of its files, in their order.

    Raises:
        ArchiveError: If it is truncated or exceeds the limits.
    """
    with archive_errors(path), zipfile.ZipFile(path) as archive:
        return _members(path, archive, limits)


def gzip_content(path: Path, limits: ArchiveLimits = DEFAULT_LIMITS) -> bytes:
    """Return the content of a gzip file.

    Raises:
        ArchiveError: If it is truncated or altered, or exceeds the limits.
    """
    with archive_errors(path), _unpacked(path, limits) as stream:
        return stream.read()


def check_readable(
    path: Path, limits: ArchiveLimits = DEFAULT_LIMITS, *, is_zip: bool = False
) -> None:
    """Read a zip file, or a compressed file, to its end, which compares its own checksums.

    Raises:
        ArchiveError: If it is truncated or altered, or exceeds the limits.
    """
    with archive_errors(path):
        if is_zip:
            for file in _zipped(path, limits):
                with file.open() as stream:
                    while stream.read(_CHUNK):
                        pass
        else:
            with _unpacked(path, limits) as stream:
                while stream.read(_CHUNK):
                    pass


def bounded_lines(path: Path, stream: io.BufferedIOBase) -> Iterator[bytes]:
    """Yield the lines of a file, each with its end.

    Raises:
        ArchiveError: If a line has 65,536 bytes or more.
    """
    for number, line in enumerate(iter(partial(stream.readline, _LONGEST_LINE), b""), start=1):
        if len(line) == _LONGEST_LINE:
            raise ArchiveError(path, f"line {number} has {_LONGEST_LINE} bytes or more")
        yield line


@contextmanager
def archive_errors(path: Path) -> Iterator[None]:
    """Convert what the readers of archives raise into one message.

    Raises:
        ArchiveError: If the archive is truncated or altered, or may not be read.
    """
    try:
        yield
    except _UNREADABLE as error:
        raise ArchiveError(path, str(error) or type(error).__name__) from error
    except OSError as error:
        raise DataError(
            f"{path} must be readable, but is not ({error.strerror or printable(str(error))})."
        ) from error


def _zipped(path: Path, limits: ArchiveLimits) -> Iterator[ArchivedFile]:
    with zipfile.ZipFile(path) as archive:
        for member in _members(path, archive, limits):
            if stat.S_ISLNK(member.external_attr >> 16):
                raise _foreign(path, member.filename, "a link")
            name = _inside(path, member.filename)
            if not member.is_dir():
                yield ArchivedFile(
                    archive=path,
                    name=name,
                    size=member.file_size,
                    open=cast("Callable[[], io.BufferedIOBase]", partial(archive.open, member)),
                )


def _members(path: Path, archive: zipfile.ZipFile, limits: ArchiveLimits) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    _check_count(path, len(members), limits)
    _check_bytes(path, sum(member.file_size for member in members), limits)
    return members


def _tarred(path: Path, limits: ArchiveLimits) -> Iterator[ArchivedFile]:
    total = 0
    with _unpacked(path, limits) as stream:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for count, member in enumerate(archive, start=1):
                _check_count(path, count, limits)
                name = _inside(path, member.name)
                if member.isdir():
                    continue
                # A sparse file may claim any size.
                if not member.isreg() or member.issparse() or member.size < 0:
                    raise _foreign(path, member.name, "a link, a device or a sparse file")
                total += member.size
                _check_bytes(path, total, limits)
                yield ArchivedFile(
                    archive=path, name=name, size=member.size, open=_opener(archive, member)
                )
        while stream.read(_CHUNK):
            pass


def _opener(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], io.BufferedIOBase]:
    def opened() -> io.BufferedIOBase:
        stream = archive.extractfile(member)
        assert isinstance(stream, io.BufferedIOBase)
        return stream

    return opened


class _BoundedStream(io.BufferedIOBase):
    """The unpacked content of a file, up to a limit."""

    def __init__(
        self, path: Path, stream: gzip.GzipFile | lzma.LZMAFile, limits: ArchiveLimits
    ) -> None:
        self._path, self._stream, self._limits, self._total = path, stream, limits, 0

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return b"".join(iter(partial(self.read, _CHUNK), b""))
        content = self._stream.read(size)
        self._total += len(content)
        _check_bytes(self._path, self._total, self._limits)
        return content


@contextmanager
def _unpacked(path: Path, limits: ArchiveLimits) -> Iterator[_BoundedStream]:
    with path.open("rb") as file:
        kind = file.read(6)
        file.seek(0)
        unpack = lzma.open if kind == b"\xfd7zXZ\0" else gzip.open
        with unpack(file) as stream:
            yield _BoundedStream(path, stream, limits)


def _check_count(path: Path, count: int, limits: ArchiveLimits) -> None:
    if count > limits.members:
        raise ArchiveError(path, f"it holds more than {limits.members} files")


def _check_bytes(path: Path, total: int, limits: ArchiveLimits) -> None:
    most = limits.most_bytes(path.stat().st_size)
    if total > most:
        raise ArchiveError(path, f"it unpacks to more than {most} bytes")


def _inside(path: Path, name: str) -> str:
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts or "\\" in name or not name.isprintable():
        raise _foreign(path, name, "a path that leads out of its folder or has odd characters")
    return place.as_posix()


def _foreign(path: Path, name: str, what: str) -> ArchiveError:
    return ArchiveError(path, f"its '{printable(name)}' is {what}")
