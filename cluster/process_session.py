"""A process with a session of its own, and everything below it: found and ended together.

What a process starts stays in its session, whatever group it moves to and whether or not its
parent lives; what left the session is found by its parent. Nothing else is ever signalled.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PATIENCE_S: Final = 30.0
_PAUSE_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process as the system lists it.

    Attributes:
        number: Its number.
        parent: Its parent's.
        session: Its session's, which is the number of the process that began the session.
        state: As in ``ps``: ``Z`` is one that has ended and was not waited for.
    """

    number: int
    parent: int
    session: int
    state: str


def start_session(
    command: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path
) -> subprocess.Popen[bytes]:
    """Start a process that begins a session: Ctrl-C on our terminal is not meant for it.

    Args:
        command: Program and arguments.
        environment: Its whole environment.
        log: File that its output is added to; for its owner alone.
        folder: Its current folder.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with open(descriptor, "ab") as stream:
        return subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def processes() -> tuple[Process, ...]:
    """List all processes of this machine that have not ended."""
    numbers = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    found = (_process(number) for number in numbers)
    return tuple(process for process in found if process is not None and process.state not in "ZX")


def members(leader: int) -> tuple[int, ...]:
    """Give the living processes of a session and what they started outside it.

    Args:
        leader: Number of the process that began the session; it may have ended.
    """
    listed = processes()
    found = {each.number for each in listed if each.session == leader}
    grows = bool(found)
    while grows:
        below = {each.number for each in listed if each.parent in found} - found
        found |= below
        grows = bool(below)
    return tuple(sorted(found))


def kill_session(leader: subprocess.Popen[bytes]) -> None:
    """Kill a process that :func:`start_session` started with all below it; none is left.

    May be called again, and after the process has ended.
    """
    end = time.monotonic() + _PATIENCE_S
    # Again and again: between the look and the kill one may have started another.
    while (found := members(leader.pid)) and time.monotonic() < end:
        for number in found:
            signal_process(number, signal.SIGKILL)
        time.sleep(_PAUSE_S)
        leader.poll()
    leader.wait(_PATIENCE_S)


def end_session(leader: subprocess.Popen[bytes], patience_s: float = 10.0) -> None:
    """Ask all processes of a session to end, wait for a while, and kill what is left."""
    for number in members(leader.pid):
        signal_process(number, signal.SIGTERM)
    end = time.monotonic() + patience_s
    while members(leader.pid) and time.monotonic() < end:
        leader.poll()
        time.sleep(_PAUSE_S)
    kill_session(leader)


def signal_process(number: int, what: signal.Signals) -> bool:
    """Send a signal to a process; False if there is none any more."""
    try:
        os.kill(number, what)
    except ProcessLookupError:
        return False
    return True


def title(number: int) -> str:
    """Give the command line of a process, or what it calls itself; empty if there is none."""
    with contextlib.suppress(OSError):
        content = Path(f"/proc/{number}/cmdline").read_bytes()
        return content.replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def _process(number: int) -> Process | None:
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # Its name comes before, in parentheses, and may hold anything.
    state, parent, _group, session, *_ = text.rpartition(")")[2].split()
    return Process(number=number, parent=int(parent), session=int(session), state=state)
