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


class Watcher(Protocol):
    """Is told what happens to the files, one after the other."""

    def say(self, text: str) -> None:
        """Take one line for the user."""

    def began(self, name: str, done: int, total: int | None) -> None:
        """Note that a file begins to come, with what is there of it; sizes in bytes."""

    def moved(self, done: int) -> None:
        """Note how many bytes of the file are there."""

    def ended(self) -> None:
        """Note that no more of the file comes for now."""


@contextmanager
def watching(console: Console) -> Iterator[Watcher]:
    """Show progress on a console in the way that fits it."""
    if console.is_terminal:
        with _Bar(console) as bar:
            yield bar
    else:
        yield Lines(console)


class Lines:
    """Says where a file stands, at most once in a while."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to a console; the clock counts seconds."""
        self._console = console
        self._clock = clock
        self._name = ""
        self._first = 0
        self._total: int | None = None
        self._began = self._said = 0.0

    def say(self, text: str) -> None:
        """Print a line."""
        _print(self._console, text)

    def began(self, name: str, done: int, total: int | None) -> None:
        """Remember where the file stands."""
        self._name, self._first, self._total = name, done, total
        self._began = self._said = self._clock()

    def moved(self, done: int) -> None:
        """Print a line if the last one is old enough."""
        now = self._clock()
        if now - self._said < _LINE_EVERY_S:
            return
        self._said = now
        speed = (done - self._first) / (now - self._began)
        self.say(f"{self._name}: {self._place(done)}, {decimal(int(speed))}/s")

    def ended(self) -> None:
        """Print nothing: what comes of the file is said by others."""

    def _place(self, done: int) -> str:
        if self._total is None:
            return decimal(done)
        return f"{decimal(done)} of {decimal(self._total)} ({100 * done // self._total} %)"


class _Bar:
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

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        _print(self._progress.console, text)

    def began(self, name: str, done: int, total: int | None) -> None:
        self._task = self._progress.add_task(name.rpartition("/")[2], completed=done, total=total)

    def moved(self, done: int) -> None:
        self._progress.update(self._task, completed=done)

    def ended(self) -> None:
        self._progress.remove_task(self._task)


def _print(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
