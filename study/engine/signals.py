"""Handlers that stop a running study: Ctrl-C, SIGTERM, the loss of its lease."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from study.engine.coordinator import TrialCoordinator
from study.records.errors import BusyError


@dataclass(slots=True)
class LeaseLossHandler:
    """Stops the coordinator when its lease is lost, even before there is a coordinator."""

    _coordinator: TrialCoordinator | None = None
    _error: BusyError | None = None

    def on_lost(self, text: str) -> None:
        """Handle the loss of the lease; from any thread."""
        self._error = BusyError(text)
        if self._coordinator is not None:
            self._coordinator.stop(self._error)

    def attach(self, coordinator: TrialCoordinator) -> None:
        """Set the coordinator."""
        self._coordinator = coordinator
        if self._error is not None:
            coordinator.stop(self._error)


@contextmanager
def stop_on_signals(
    coordinator: TrialCoordinator, notify: Callable[[str], None]
) -> Iterator[None]:
    """Let the first signal stop the coordinator, and a second one raise KeyboardInterrupt.

    While no trial runs there is nothing to wait for, and the first one raises too.
    """

    def handle(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 (the interface)
        if coordinator.is_stopping or not coordinator.n_running:
            raise KeyboardInterrupt
        coordinator.stop()
        notify("stopping: trials write their checkpoints; Ctrl-C again does not wait for them.")

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    # Under nohup it is ignored.
    before = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}
    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
