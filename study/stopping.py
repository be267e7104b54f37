"""What stops a study that trains from outside: Ctrl-C, SIGTERM, the loss of its lease."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from study.conductor import Conductor
from study.errors import BusyError


@dataclass(slots=True)
class LostLease:
    """Stops the conductor when its study was taken over, even if that is before there is one."""

    _conductor: Conductor | None = None
    _error: BusyError | None = None

    def note(self, text: str) -> None:
        """Take note that another process holds the study now; from any thread."""
        self._error = BusyError(text)
        if self._conductor is not None:
            self._conductor.stop(self._error)

    def concerns(self, conductor: Conductor) -> None:
        """Say whom it stops."""
        self._conductor = conductor
        if self._error is not None:
            conductor.stop(self._error)


@contextmanager
def stopping_on_signals(conductor: Conductor, say: Callable[[str], None]) -> Iterator[None]:
    """Let the first signal stop the conductor, and a second one interrupt whatever runs.

    While no trial runs there is nothing to wait for, and the first one interrupts too.

    Args:
        conductor: What is to stop.
        say: Told that it does.
    """

    def handle(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 (a signal handler)
        if conductor.is_stopping or not conductor.is_training:
            raise KeyboardInterrupt
        conductor.stop()
        say("stopping: trials write their checkpoints; Ctrl-C again does not wait for them.")

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
