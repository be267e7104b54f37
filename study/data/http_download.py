"""A download of one file over HTTP that resumes where it was cut.

StudyError
└── DownloadError      a file of a dataset cannot be fetched, read or kept
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path

from pydantic import ValidationError
from rich.filesize import decimal

from study.data.download_progress import DownloadProgress
from study.data.http_request import (
    VERSIONS,
    FileResponse,
    FileVersion,
    RangeError,
    RequestError,
    ServerLimits,
    request_file,
)
from study.records.errors import StudyError
from study.storage.atomic_write import write_atomic
from trainables.datasets.sources import SourceFile


class DownloadError(StudyError):
    """A file of a dataset cannot be fetched, read or kept."""


def not_writable(path: Path, error: OSError) -> DownloadError:
    """Return the error of a disk that refused a file."""
    return DownloadError(
        f"{path} must be writable, but is not ({error.strerror or error}); free it or name "
        "another folder with --data-root or CHALLENGER_DATA."
    )


class PartFile:
    """``NAME.part`` and the version of the file that it is a part of.

    The whole file appears by renaming alone, so that no reader sees half of it.
    """

    def __init__(self, target: Path) -> None:
        """Return the part of a file."""
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self._version_file = target.with_name(f"{target.name}.part.json")

    @property
    def size(self) -> int:
        """Bytes that have come."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def version(self) -> FileVersion | None:
        """Version of the file that this is a part of; None if there is no part of a known one."""
        try:
            text = self._version_file.read_bytes()
            return VERSIONS.validate_json(text, strict=True) if self.size else None
        except (OSError, ValidationError):
            return None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the part against other processes.

        Raises:
            DownloadError: If another process has it, or the folder cannot be written to.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self._open_locked()
        except OSError as error:
            raise not_writable(self.path, error) from error
        with file:
            try:
                yield
            finally:
                if self.path.exists() and not self.size:
                    self.delete()

    def _open_locked(self) -> BufferedWriter:
        while True:
            file = self.path.open("ab")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                raise DownloadError(
                    f"{self.target} is being fetched by another process; wait for it, or stop it."
                ) from None
            except OSError:
                return file  # some network file systems have no locks
            # Another process may have renamed it since it was opened.
            if self._is_current(file):
                return file
            file.close()

    def _is_current(self, file: BufferedWriter) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False

    def begin(self, version: FileVersion) -> None:
        """Make room for a file that is sent from its start."""
        self.clear()
        write_atomic(self._version_file, VERSIONS.dump_json(version, indent=2).decode())

    def clear(self) -> None:
        """Throw away what has come; the file stays, since it is what others are kept from."""
        self._version_file.unlink(missing_ok=True)
        with self.path.open("wb"):
            pass

    def append(self, chunk: bytes) -> None:
        """Add what comes next."""
        with self.path.open("ab") as file:
            file.write(chunk)

    def complete(self) -> None:
        """Rename the whole file to its final name."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.replace(self.target)
        self.delete()

    def reject(self) -> Path:
        """Rename a file that is not the published one, so that nothing reads it."""
        rejected = self.target.with_name(f"{self.target.name}.rejected")
        self.path.replace(rejected)
        self.delete()
        return rejected

    def delete(self) -> None:
        """Remove what is left of a part."""
        self.path.unlink(missing_ok=True)
        self._version_file.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Limits on a server's failures.

    Attributes:
        tries: Requests in a row that may bring less than ``step`` bytes more.
        step: Bytes after which the count starts again: a long download over a poor line is cut
            often and still comes to its end.
        first_wait_s: Pause after the first failure, doubled after each further one.
        longest_wait_s: Longest pause.
        timeout_s: Longest silence of the server.
        slowest: Bytes per second, on average over ``window_s``, below which a try is given up.
        window_s: Seconds of waiting for the server over which its speed is averaged.
        sleep: How to wait.
    """

    tries: int = 5
    step: int = 1 << 20
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0
    timeout_s: float = 30.0
    slowest: float = 1000.0
    window_s: float = 60.0
    sleep: Callable[[float], None] = time.sleep

    def wait_s(self, failures: int) -> float:
        """Return the pause after some failures in a row, at least one."""
        return min(self.first_wait_s * 2.0 ** (failures - 1), self.longest_wait_s)

    def limits(self, source: SourceFile) -> ServerLimits:
        """Return what is accepted of a server that sends a file."""
        return ServerLimits(
            most_bytes=source.most_bytes,
            timeout_s=self.timeout_s,
            slowest=self.slowest,
            window_s=self.window_s,
        )


def download(
    url: str,
    source: SourceFile,
    part: PartFile,
    retry_policy: RetryPolicy,
    progress: DownloadProgress,
) -> None:
    """Fetch what is missing of a file into its part.

    Whether the result is the published file is not looked at.

    Raises:
        RequestError: If it cannot be had; what came stays.
        DownloadError: If the disk does not take it.
    """
    failures, farthest = 0, part.size
    while True:
        try:
            _request(url, source, part, retry_policy.limits(source), progress)
            return
        except RequestError as error:
            if isinstance(error, RangeError):
                part.clear()
            # Counted from the farthest point, so that a server that sends the same beginning
            # again and again does not go on for ever.
            if part.size >= farthest + retry_policy.step:
                failures, farthest = 0, part.size
            failures += 1
            if not error.is_transient or failures >= retry_policy.tries:
                raise
            wait_s = retry_policy.wait_s(failures)
            progress.log(f"{source.path}: {error.reason}; trying again in {wait_s:g} s.")
            retry_policy.sleep(wait_s)


def _request(
    url: str, source: SourceFile, part: PartFile, limits: ServerLimits, progress: DownloadProgress
) -> None:
    known = _resumable_version(url, source, part)
    start = 0 if known is None else part.size
    if known is not None and known.size == start:
        return  # interrupted between its last byte and its name
    with request_file(url, known, start, limits) as response:
        _check_response(response, known, start, source)
        _check_free_space(response, part)
        _copy(response, source, part, progress)
    size = response.version.size
    if size is not None and part.size < size:
        cut = f"the connection was cut after {decimal(part.size)} of {decimal(size)}"
        raise RequestError(cut, is_transient=True)


def _resumable_version(url: str, source: SourceFile, part: PartFile) -> FileVersion | None:
    known = part.version
    if known is None or known.url != url:
        return None
    # Without any of these, two halves of two versions would pass for one file.
    return known if known.validator or known.etag or source.checksum else None


def _check_response(
    response: FileResponse, known: FileVersion | None, start: int, source: SourceFile
) -> None:
    size = response.version.size
    if None not in (source.size, size) and source.size != size:
        reason = f"the server offers a file of {size} bytes instead of the {source.size} published"
        raise RequestError(reason)
    if size is not None and size > source.most_bytes:
        most = decimal(source.most_bytes)
        raise RequestError(
            f"the server offers a file of {size} bytes, where {most} at most belong"
        )
    if response.start == 0:
        return
    if known is None or response.start != start:
        raise RangeError("the server sends another part than was asked for", is_transient=True)
    if not response.version.is_compatible(known):
        raise RangeError("the file changed on the server", is_transient=True)


def _check_free_space(response: FileResponse, part: PartFile) -> None:
    folder = part.target.parent
    free = shutil.disk_usage(folder).free + (0 if response.start else part.size)
    missing = (response.version.size or 0) - response.start
    if missing > free:
        raise DownloadError(
            f"{part.target} needs {decimal(missing)} more, but {folder} has {decimal(free)} free; "
            "free some or name another folder with --data-root or CHALLENGER_DATA."
        )


def _copy(
    response: FileResponse, source: SourceFile, part: PartFile, progress: DownloadProgress
) -> None:
    try:
        if response.start == 0:
            if part.size:
                progress.log(f"{source.path}: comes from its start again.")
            part.begin(response.version)
        progress.start(source.path, response.start, response.version.size)
        try:
            for chunk in response.chunks():
                part.append(chunk)
                progress.update(part.size)
        finally:
            progress.finish()
    except OSError as error:
        raise not_writable(part.path, error) from error
