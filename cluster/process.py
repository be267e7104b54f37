"""Processes of this machine: listed, signaled, and ended with their session or children.

A process stays in the session in which it was started, whatever its process group and whether
or not its parent is alive; descendants that left the session are found by their parent pid.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_KILL_TIMEOUT_S: Final = 30.0
_POLL_INTERVAL_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process as the system lists it.

    Attributes:
        pid: Its number.
        ppid: Its parent's.
        sid: Its session's, which is the number of the process that began the session.
        state: As in ``ps``: ``Z`` is one that has ended and was not waited for.
    """

    pid: int
    ppid: int
    sid: int
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
    pids = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    found = (_process(pid) for pid in pids)
    return tuple(process for process in found if process is not None and process.state not in "ZX")


def session_pids(leader: int) -> tuple[int, ...]:
    """Give the living processes of a session and what they started outside it.

    Args:
        leader: Number of the process that began the session; it may have ended.
    """
    listed = processes()
    found = {each.pid for each in listed if each.sid == leader}
    grows = bool(found)
    while grows:
        below = {each.pid for each in listed if each.ppid in found} - found
        found |= below
        grows = bool(below)
    return tuple(sorted(found))


def kill_session(leader: subprocess.Popen[bytes]) -> None:
    """Kill a process that :func:`start_session` started with all below it; none is left.

    May be called again, and after the process has ended.
    """
    deadline = time.monotonic() + _KILL_TIMEOUT_S
    # Again and again: between the look and the kill one may have started another.
    while (found := session_pids(leader.pid)) and time.monotonic() < deadline:
        for pid in found:
            send_signal(pid, signal.SIGKILL)
        time.sleep(_POLL_INTERVAL_S)
        leader.poll()
    leader.wait(_KILL_TIMEOUT_S)


def terminate_session(leader: subprocess.Popen[bytes], timeout_s: float = 10.0) -> None:
    """Ask all processes of a session to end, wait for a while, and kill what is left."""
    for pid in session_pids(leader.pid):
        send_signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while session_pids(leader.pid) and time.monotonic() < deadline:
        leader.poll()
        time.sleep(_POLL_INTERVAL_S)
    kill_session(leader)


def send_signal(pid: int, signum: signal.Signals) -> bool:
    """Send a signal to a process; False if there is none any more."""
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return False
    return True


def command_line(pid: int) -> str:
    """Give the command line of a process, or what it calls itself; empty if there is none."""
    with contextlib.suppress(OSError):
        content = Path(f"/proc/{pid}/cmdline").read_bytes()
        return content.replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def _process(pid: int) -> Process | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # Its name comes before, in parentheses, and may hold anything.
    state, ppid, _group, sid, *_ = text.rpartition(")")[2].split()
    return Process(pid=pid, ppid=int(ppid), sid=int(sid), state=state)


def child_pids(parent: int) -> list[int]:
    """Give the numbers of the processes that a process started and that have not been reaped."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in pids if _status(pid)[1] == parent]


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that we started and its children; none is left on return.

    Found by their parent, for a server such as PostgreSQL whose children each leave its group.
    """
    # While the parent is stopped it starts no other child, and no child's number is given anew.
    process.send_signal(signal.SIGSTOP)
    _wait_for(lambda: _status(process.pid)[0] in "TZX")
    descendants = child_pids(process.pid)
    for pid in [*descendants, process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    _wait_for(lambda: all(_status(pid)[0] in "ZX" for pid in descendants))


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
    deadline = time.monotonic() + _KILL_TIMEOUT_S
    while not is_true() and time.monotonic() < deadline:
        time.sleep(0.01)
