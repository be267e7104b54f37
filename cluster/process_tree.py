"""The processes that a process started, and ending all of them at once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_PATIENCE_S: Final = 30.0


def children(parent: int) -> list[int]:
    """Give the numbers of the processes that a process started and that have not been reaped."""
    numbers = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [number for number in numbers if _status(number)[1] == parent]


def kill_with_children(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that we started and its children; none is left on return.

    Found by their parent, for a server such as PostgreSQL whose children each leave its group.
    """
    # While the parent is stopped it starts no other child, and no child's number is given anew.
    process.send_signal(signal.SIGSTOP)
    _wait_for(lambda: _status(process.pid)[0] in "TZX")
    below = children(process.pid)
    for number in [*below, process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    process.wait()
    _wait_for(lambda: all(_status(number)[0] in "ZX" for number in below))


def _status(process: int) -> tuple[str, int]:
    """Give the state of a process as in ``ps``, ``X`` if there is none, and its parent."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return "X", 0
    # Its name comes before, in parentheses, and may hold anything.
    state, parent = text.rpartition(")")[2].split()[:2]
    return state, int(parent)


def _wait_for(is_true: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not is_true() and time.monotonic() < end:
        time.sleep(0.01)
