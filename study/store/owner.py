"""Which process holds something, so that other processes can tell whether it still runs."""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_PROCESS_IDS: Final = Path("/proc/self/ns/pid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A process, told from every other one that ever ran anywhere.

    Attributes:
        host: Name of its machine, for people.
        machine: What its process id is unique in: a machine between two boots, or a container.
        process: Process id.
        started: When it was started, in ticks since its machine was; empty if that is not told.
    """

    host: str
    machine: str
    process: int
    started: str

    def __str__(self) -> str:
        """Name the process in messages."""
        return f"process {self.process} on {self.host}"


def this_process() -> Owner:
    """Give the process that calls."""
    process = os.getpid()
    started = _started(process) or ""
    return Owner(
        host=socket.gethostname(), machine=_this_machine(), process=process, started=started
    )


def is_alive(owner: Owner, here: Owner) -> bool | None:
    """Tell whether a process still runs, as far as another one can see.

    Args:
        owner: Whom to look for.
        here: Who looks, which must be the process that calls.

    Returns:
        None if that cannot be seen from here: it is on another machine, or hidden.
    """
    if owner.machine != here.machine:
        return None
    try:
        os.kill(owner.process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Another user's, which runs all the same.
        pass
    started = _started(owner.process)
    if started is None or not owner.started:
        return None
    return started == owner.started


def _started(process: int) -> str | None:
    """Read when a process was started: empty for one that has ended, None if it is hidden."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name before the last bracket may hold blanks and brackets of its own.
    state, *fields = text.rpartition(")")[2].split()
    # One that was killed and whose parent has not asked for it keeps its id, but does not run.
    return "" if state in {"Z", "X"} else fields[18]


@cache
def _this_machine() -> str:
    host = socket.gethostname()
    try:
        # Ids of boots are copied with the image of a running machine, its name rarely is.
        boot = _BOOT.read_text(encoding="utf-8").strip()
        return f"{host}/{boot}/{_PROCESS_IDS.stat().st_ino}"
    except OSError:
        # Without /proc nobody can be looked up, so that nobody may take this for his machine.
        return f"{host}/{uuid.uuid4().hex}"
