"""Processes that acquire the lease of a study on command, and print what happened."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

# Prints: held, left, or refused, waits or lost with the message, or interrupted.
_PROGRAM = """
import json, sys
from dataclasses import replace
from pathlib import Path
from study.records.errors import StudyError
from study.storage.layout import StudyFolder
from study.storage.lease import LeaseTiming, lease
from study.storage.lease_table import current_process

def say(*words):
    print(*words, flush=True)

for line in sys.stdin:
    command = json.loads(line)
    here = replace(current_process(), **command["machine"])
    folder = StudyFolder(path=Path(command["folder"]))
    try:
        with lease(
            folder,
            command["url"],
            lambda text: say("lost", text),
            lambda text: say("waits", text),
            owner=here,
            timing=LeaseTiming(**command["timing"]),
        ):
            say("held")
            sys.stdin.readline()
        say("left")
    except StudyError as error:
        say("refused", error)
    except KeyboardInterrupt:
        say("interrupted")
"""

# Short; a holder expires after twenty missing renewals.
TIMING = {"renew_s": 0.05, "expire_s": 1.0, "poll_s": 0.05}
# Longer than any test.
LONG_TIMING = {**TIMING, "expire_s": 600.0}


class LeaseProcess:
    """A process, possibly under the name of another machine. Has mutable state: the process.

    Attributes:
        pid: Its process id.
        machine: Name of the machine that it claims, or None for the true one.
    """

    def __init__(self) -> None:
        """Start the process; it acquires nothing yet."""
        self.machine: str | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.end()

    def start(self, folder: Path, url: str, timing: dict[str, float] | None = None) -> None:
        """Let it acquire the lease of a folder's study."""
        name = self.machine
        machine = {"host": name, "pid_namespace": f"{name}/1/2"} if name else {}
        command = {
            "folder": str(folder),
            "url": url,
            "machine": machine,
            "timing": TIMING if timing is None else timing,
        }
        self._send_line(json.dumps(command))

    def release(self) -> None:
        """Let it release the lease."""
        self._send_line("")

    def heard(self) -> str:
        """Wait for the next line that it prints."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().removesuffix("\n")

    def send(self, signal: int) -> None:
        """Send it a signal."""
        self._process.send_signal(signal)

    def end(self) -> str:
        """Kill it and return its standard error."""
        self._process.kill()
        return self._process.communicate()[1]

    def _send_line(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
