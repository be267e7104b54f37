"""Progress of a download: a bar on a terminal, a line every few seconds in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

# A log of a slow download stays readable.
_LINE_EVERY_S = 5.0


class DownloadProgress(Protocol):
    """Is told what happens to the files, one after the other."""

    def log(self, text: str) -> None:
        """Show one line."""

    def start(self, name: str, done: int, total: int | None) -> None:
        """Note that a file begins to come, with what is there of it; sizes in bytes."""

    def update(self, done: int) -> None:
        """Note how many bytes of the file are there."""

    def finish(self) -> None:
        """Note that no more of the file comes for now."""


@contextmanager
def show_progress(console: Console) -> Iterator[DownloadProgress]:
    """Show progress on a console in the way that fits it."""
    if console.is_terminal:
        with _ProgressBar(console) as bar:
            yield bar
    else:
        yield LogProgress(console)


class LogProgress:
    """Reports a download's progress at most once per interval."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to a console; the clock counts seconds."""
        self._console = console
        self._clock = clock
        self._name = ""
        self._first = 0
        self._total: int | None = None
        self._started = self._logged = 0.0

    def log(self, text: str) -> None:
        """Print a line."""
        _print(self._console, text)

    def start(self, name: str, done: int, total: int | None) -> None:
        """Remember where the file stands."""
        self._name, self._first, self._total = name, done, total
        self._started = self._logged = self._clock()

    def update(self, done: int) -> None:
        """Print a line if the last one is old enough."""
        now = self._clock()
        if now - self._logged < _LINE_EVERY_S:
            return
        self._logged = now
        speed = (done - self._first) / (now - self._started)
        self.log(f"{self._name}: {self._place(done)}, {decimal(int(speed))}/s")

    def finish(self) -> None:
        """Print nothing: what comes of the file is said by others."""

    def _place(self, done: int) -> str:
        if self._total is None:
            return decimal(done)
        return f"{decimal(done)} of {decimal(self._total)} ({100 * done // self._total} %)"


class _ProgressBar:
    """One bar for the file that comes."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
        )

    def __enter__(self) -> _ProgressBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def log(self, text: str) -> None:
        _print(self._progress.console, text)

    def start(self, name: str, done: int, total: int | None) -> None:
        self._task = self._progress.add_task(name.rpartition("/")[2], completed=done, total=total)

    def update(self, done: int) -> None:
        self._progress.update(self._task, completed=done)

    def finish(self) -> None:
        self._progress.remove_task(self._task)


def _print(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
