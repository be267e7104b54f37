"""The study's driver: a real ``challenger-study`` in a process, killed and resumed as it comes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from cluster.process_session import kill_session, members, signal_process, start_session, title

_DELIVERY: Final = "study.tracking.delivery"
# `-P`: a folder called study in the current one is not our package.
_PROGRAM: Final = ("-P", "-c", "from study.cli.main import main; main()")


class Driver:
    """A command line that is started again and again. Has mutable state: its process."""

    def __init__(self, folder: Path, environment: Callable[[], Mapping[str, str]]) -> None:
        """Start nothing yet.

        Args:
            folder: Its current folder, in which ``driver.log`` is written.
            environment: Gives its whole environment at each start.
        """
        self._folder = folder
        self._environment = environment
        self._processes: list[subprocess.Popen[bytes]] = []
        self._log_began = 0

    @property
    def log(self) -> Path:
        """What it said, over all starts."""
        return self._folder / "driver.log"

    @property
    def n_starts(self) -> int:
        """How often it was started."""
        return len(self._processes)

    @property
    def number(self) -> int:
        """Number of its latest process."""
        return self._processes[-1].pid

    def start(self, *arguments: str) -> None:
        """Start it; the one before must have ended."""
        self._log_began = self.log.stat().st_size if self.log.exists() else 0
        self._processes.append(self._launched(self.log, arguments))

    def poll(self) -> int | None:
        """Give the exit code, negative for a signal, or None while it runs."""
        return self._processes[-1].poll()

    def wait(self, patience_s: float) -> float | None:
        """Wait for its end; gives the seconds that took, or None if it did not end."""
        began = time.monotonic()
        try:
            self._processes[-1].wait(patience_s)
        except subprocess.TimeoutExpired:
            return None
        return time.monotonic() - began

    def signal(self, what: signal.Signals) -> None:
        """Send it, and none of those that it started, a signal."""
        self._processes[-1].send_signal(what)

    def delivery(self) -> int | None:
        """Give the number of its process that delivers to MLflow, or None."""
        found = [number for number in members(self.number) if _DELIVERY in title(number)]
        return found[0] if found else None

    def said(self) -> str:
        """Give the last lines of its latest run, as one."""
        with self.log.open("rb") as file:
            file.seek(self._log_began)
            lines = file.read().decode(errors="replace").split("\n")
        told = [" ".join(line.split()) for line in lines if line.strip()]
        return " / ".join(told[-4:])[-600:]

    def second(self, patience_s: float, *arguments: str) -> tuple[int | None, str]:
        """Start the program a second time beside; gives its exit code and what it said."""
        log = self._folder / "second.log"
        log.unlink(missing_ok=True)
        process = self._launched(log, arguments)
        try:
            code: int | None = process.wait(patience_s)
        except subprocess.TimeoutExpired:
            code = None
        kill_session(process)
        return code, " ".join(log.read_text(encoding="utf-8", errors="replace").split())

    def end(self) -> None:
        """Kill what is left of all its runs, and of what they started."""
        for process in self._processes:
            kill_session(process)

    def _launched(self, log: Path, arguments: tuple[str, ...]) -> subprocess.Popen[bytes]:
        command = [sys.executable, *_PROGRAM, *arguments]
        return start_session(command, self._environment(), log, self._folder)


def kill(number: int) -> bool:
    """Kill a process that we or one of ours started; False if it is gone."""
    return signal_process(number, signal.SIGKILL)
