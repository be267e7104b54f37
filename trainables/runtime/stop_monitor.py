"""Stop requests and time limits, checked while a trial trains."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from trainables.errors import StoppedError, TimeLimitError

# Called at every training step; raises to end the training.
StepCallback: TypeAlias = Callable[[], None]

# A look-up of a file takes a microsecond on a local disk and a millisecond over a network.
_POLL_INTERVAL_S: Final = 0.25


def no_step_callback() -> None:
    """Never end the training."""


@dataclass(slots=True, kw_only=True)
class StopMonitor:
    """Training clock and stop request of one attempt at a trial; mutable.

    Attributes:
        stop_file: File whose existence requests a stop; None for no such file.
        timeout_s: Longest training time over all attempts; None for no limit.
        previous_s: Training time of earlier attempts and before the last pause.
        can_roll_back: Whether a stop in the middle of an epoch loses that epoch alone.
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
        """Training time so far, earlier attempts included, pauses excluded."""
        return self.previous_s + (0.0 if self._since is None else time.monotonic() - self._since)

    def resume(self) -> None:
        """Start the clock."""
        self._since = time.monotonic()

    def pause(self) -> None:
        """Stop the clock while a report is processed."""
        self.previous_s = self.trained_s
        self._since = None

    @property
    def is_stop_requested(self) -> bool:
        """Whether a stop is requested; polls the file a few times a second."""
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
        """Check time limit and stop request in the middle of an epoch.

        Raises:
            StoppedError: If a stop is requested and the epoch can be rolled back.
            TimeLimitError: If the trial has trained longer than ``timeout_s``.
        """
        if self.timeout_s is not None and self.trained_s > self.timeout_s:
            raise TimeLimitError(f"it has trained for {self.trained_s:.0f} s")
        if self.can_roll_back and self.is_stop_requested:
            raise StoppedError("a stop of the trial was requested.")


def _file_exists(file: Path) -> bool:
    try:
        # NFS caches for up to half a minute that a file is missing, but queries its server when
        # a folder is opened (nfs(5), close-to-open cache consistency).
        os.close(os.open(file.parent, os.O_RDONLY))
    except OSError:
        # Failing storage requests nothing; writing the next checkpoint raises the error.
        return False
    return file.exists()
