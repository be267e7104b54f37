"""Looks, while a trial trains, whether it is to stop or has trained longer than it may."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from trainables.errors import StoppedError, TimeLimitError

# Called at every step of a loop; raises to end it.
StepCallback: TypeAlias = Callable[[], None]

# Looking at a file costs a microsecond on a local disk and a millisecond over a network.
_POLL_INTERVAL_S: Final = 0.25


def no_step_callback() -> None:
    """Let everything run to its end."""


@dataclass(slots=True, kw_only=True)
class StopMonitor:
    """One attempt at a trial as its clock and the driver see it; mutable as time goes by.

    Attributes:
        stop_file: Asks for a stop by being there; None if nobody may ask.
        timeout_s: Longest training time over all attempts, in seconds; None for no limit.
        spent_s: What earlier attempts have trained.
        can_go_back: Whether a stop in the middle of an epoch loses no more than that epoch.
    """

    stop_file: Path | None
    timeout_s: float | None
    previous_s: float = 0.0
    can_roll_back: bool = True
    _since: float | None = None
    _polled_at: float = -1.0
    _was_requested: bool = False

    @property
    def trained_s(self) -> float:
        """Training time so far, earlier attempts included, and time of waiting left out."""
        return self.previous_s + (0.0 if self._since is None else time.monotonic() - self._since)

    def resume(self) -> None:
        """Let the clock run."""
        self._since = time.monotonic()

    def pause(self) -> None:
        """Stop the clock: somebody else is busy with what was reported."""
        self.previous_s = self.trained_s
        self._since = None

    @property
    def is_stop_requested(self) -> bool:
        """Whether the trial is to stop; looks a few times a second."""
        now = time.monotonic()
        if (
            self.stop_file is not None
            and not self._was_requested
            and now - self._polled_at >= _POLL_INTERVAL_S
        ):
            self._polled_at = now
            self._was_requested = _file_exists(self.stop_file)
        return self._was_requested

    def on_step(self) -> None:
        """Look in the middle of an epoch.

        Raises:
            StoppedError: If a stop is asked for and the end of the epoch is not worth waiting for.
            TimeLimitError: If the trial has trained longer than it may.
        """
        if self.timeout_s is not None and self.trained_s > self.timeout_s:
            raise TimeLimitError(f"it has trained for {self.trained_s:.0f} s")
        if self.can_roll_back and self.is_stop_requested:
            raise StoppedError("the trial was asked to stop.")


def _file_exists(file: Path) -> bool:
    try:
        # NFS remembers for up to half a minute that a file is missing, but asks its server when
        # a folder is opened (nfs(5), close-to-open cache consistency).
        os.close(os.open(file.parent, os.O_RDONLY))
    except OSError:
        # Storage that fails asks for nothing; the next checkpoint says what is wrong with it.
        return False
    return file.exists()
