"""Download one file: go on where it was cut, as often as it takes within bounds."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass

from rich.filesize import decimal

from study.data.errors import DownloadError, not_writable
from study.data.part_file import PartFile
from study.data.progress import Watcher
from study.data.request import Answer, RangeError, RequestError, Version, ask
from trainables.datasets.sources import SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a server is borne with.

    Attributes:
        tries: Requests in a row that may bring less than ``step`` bytes more.
        step: Bytes after which the count begins anew: a long download over a poor line is cut
            often and still comes to its end.
        first_wait_s: Pause after the first failure, doubled after each further one.
        longest_wait_s: Longest pause.
        timeout_s: Longest silence of the server.
        sleep: How to wait.
    """

    tries: int = 5
    step: int = 1 << 20
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0
    timeout_s: float = 30.0
    sleep: Callable[[float], None] = time.sleep

    def wait_s(self, failures: int) -> float:
        """Give the pause after some failures in a row, at least one."""
        return min(self.first_wait_s * 2.0 ** (failures - 1), self.longest_wait_s)


def download(
    url: str, source: SourceFile, part: PartFile, patience: Patience, watcher: Watcher
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
            _request(url, source, part, patience.timeout_s, watcher)
            return
        except RequestError as error:
            if isinstance(error, RangeError):
                part.clear()
            # Counted from the farthest point, so that a server that sends the same beginning
            # again and again does not go on for ever.
            if part.size >= farthest + patience.step:
                failures, farthest = 0, part.size
            failures += 1
            if not error.may_pass or failures >= patience.tries:
                raise
            wait_s = patience.wait_s(failures)
            watcher.say(f"{source.path}: {error.reason}; trying again in {wait_s:g} s.")
            patience.sleep(wait_s)


def _request(
    url: str, source: SourceFile, part: PartFile, timeout_s: float, watcher: Watcher
) -> None:
    known = _version_to_go_on_with(url, source, part)
    start = 0 if known is None else part.size
    if known is not None and known.size == start:
        return  # interrupted between its last byte and its name
    with ask(url, known, start, timeout_s) as answer:
        _compare(answer, known, start, source)
        _check_room(answer, part)
        _copy(answer, source, part, watcher)
    size = answer.version.size
    if size is not None and part.size < size:
        cut = f"the connection was cut after {decimal(part.size)} of {decimal(size)}"
        raise RequestError(cut, may_pass=True)


def _version_to_go_on_with(url: str, source: SourceFile, part: PartFile) -> Version | None:
    known = part.version
    if known is None or known.url != url:
        return None
    # Without any of these, two halves of two versions would pass for one file.
    return known if known.condition or known.etag or source.checksum else None


def _compare(answer: Answer, known: Version | None, start: int, source: SourceFile) -> None:
    size = answer.version.size
    if None not in (source.size, size) and source.size != size:
        reason = f"the server offers a file of {size} bytes instead of the {source.size} published"
        raise RequestError(reason)
    if answer.start == 0:
        return
    if known is None or answer.start != start:
        raise RangeError("the server sends another part than was asked for", may_pass=True)
    if not answer.version.may_be(known):
        raise RangeError("the file changed on the server", may_pass=True)


def _check_room(answer: Answer, part: PartFile) -> None:
    folder = part.target.parent
    free = shutil.disk_usage(folder).free + (0 if answer.start else part.size)
    missing = (answer.version.size or 0) - answer.start
    if missing > free:
        raise DownloadError(
            f"{part.target} needs {decimal(missing)} more, but {folder} has {decimal(free)} free; "
            "free some or name another folder with --data-root or CHALLENGER_DATA."
        )


def _copy(answer: Answer, source: SourceFile, part: PartFile, watcher: Watcher) -> None:
    try:
        if answer.start == 0:
            if part.size:
                watcher.say(f"{source.path}: comes from its start again.")
            part.begin(answer.version)
        watcher.began(source.path, answer.start, answer.version.size)
        try:
            for chunk in answer.chunks():
                part.append(chunk)
                watcher.moved(part.size)
        finally:
            watcher.ended()
    except OSError as error:
        raise not_writable(part.path, error) from error
