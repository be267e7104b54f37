"""Processes of this machine: listed, signaled, and killed with their session or children.

A process stays in the session in which it was started, whatever its process group and whether
or not its parent is alive; descendants that left the session are found by their parent's pid.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

_KILL_TIMEOUT_S: Final = 30.0
_POLL_INTERVAL_S: Final = 0.05
_ENDED: Final = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A living process, with the pids of its parent and of its session's leader."""

    pid: int
    ppid: int
    sid: int


def start_session(
    command: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path
) -> subprocess.Popen[bytes]:
    """Start a process as the leader of a session, so that Ctrl-C does not reach it.

    Args:
        command: Program and arguments.
        environment: Its whole environment.
        log: File that its output is appended to, readable by its owner alone.
        folder: Its working directory.
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
    """Return all processes of this machine but zombies."""
    found = []
    for each in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError), each.oneshot():
            if each.status() not in _ENDED:
                sid = os.getsid(each.pid)
                found.append(Process(pid=each.pid, ppid=each.ppid(), sid=sid))
    return tuple(found)


def session_pids(leader: int) -> tuple[int, ...]:
    """Return the living processes of a session and their descendants outside it.

    Args:
        leader: Pid of the session's leader, which may have ended.
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
    """Kill a process of :func:`start_session` with its session and all descendants.

    May be called again, and after the process has ended.
    """
    deadline = time.monotonic() + _KILL_TIMEOUT_S
    # Repeated, because a process may start another before it is killed.
    while (found := session_pids(leader.pid)) and time.monotonic() < deadline:
        for pid in found:
            send_signal(pid, signal.SIGKILL)
        time.sleep(_POLL_INTERVAL_S)
        leader.poll()
    leader.wait(_KILL_TIMEOUT_S)


def terminate_session(leader: subprocess.Popen[bytes], timeout_s: float = 10.0) -> None:
    """Send SIGTERM to all processes of a session, wait, and kill the rest."""
    for pid in session_pids(leader.pid):
        send_signal(pid, signal.SIGTERM)
    wait_until(lambda: leader.poll() is not None and not session_pids(leader.pid), timeout_s)
    kill_session(leader)


def send_signal(pid: int, signum: signal.Signals) -> bool:
    """Send a signal to a process; return False if it has ended."""
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return False
    return True


def command_line(pid: int) -> str:
    """Return the command line of a process; empty if it has ended."""
    with suppress(psutil.Error):
        return " ".join(psutil.Process(pid).cmdline())
    return ""


def child_pids(parent: int) -> list[int]:
    """Return the pids of a process's children, zombies among them."""
    with suppress(psutil.NoSuchProcess):
        return [child.pid for child in psutil.Process(parent).children()]
    return []


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that we started and its children, and wait until they have ended.

    They are found by their parent, because PostgreSQL's children each leave its session.
    """
    if process.poll() is not None:
        return
    # A stopped parent starts no other child and reaps none, so that no pid is reused.
    process.send_signal(signal.SIGSTOP)
    parent = psutil.Process(process.pid)
    wait_until(lambda: parent.status() in (psutil.STATUS_STOPPED, *_ENDED), _KILL_TIMEOUT_S)
    children = parent.children()
    for each in (*children, parent):
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait()
    wait_until(lambda: not any(map(_is_alive, children)), _KILL_TIMEOUT_S)


def _is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() not in _ENDED
    return False


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Wait until a condition holds; return False if it does not within the timeout."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_INTERVAL_S)
    return True


# What a start must use of a processor to count as progress, how often, and up to how long.
_PROGRESS_CPU_S: Final = 1.0
_STALLED_S: Final = 60.0
_MOST_TIMEOUTS: Final = 5.0


@dataclass(slots=True)
class StartupWait:
    """The wait for a server's first answer, which grows while its processes work.

    A machine that does much else gives them little of its processors. Has mutable state: when
    they were last seen to have worked.

    Attributes:
        timeout_s: How long it takes at least; five times as long at most.
        clock: Monotonic time in seconds.
    """

    timeout_s: float
    clock: Callable[[], float] = time.monotonic
    _started_s: float = field(init=False)
    _progress_s: float = field(init=False)
    _cpu_s: float = 0.0

    def __post_init__(self) -> None:
        """Start now."""
        self._started_s = self._progress_s = self.clock()

    @property
    def waited_s(self) -> float:
        """Time since the start, in seconds."""
        return self.clock() - self._started_s

    def is_over(self, cpu_s: float) -> bool:
        """Return whether to give up.

        Args:
            cpu_s: Processor time of the server's processes, in seconds; those that end may
                take theirs along.
        """
        if abs(cpu_s - self._cpu_s) >= _PROGRESS_CPU_S:
            self._cpu_s, self._progress_s = cpu_s, self.clock()
        is_stalled = self.clock() - self._progress_s > min(_STALLED_S, self.timeout_s)
        most_s = _MOST_TIMEOUTS * self.timeout_s
        return self.waited_s > self.timeout_s and (is_stalled or self.waited_s > most_s)


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the processor time that processes have used, in seconds; 0 for those that ended."""
    used = 0.0
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            used += times.user + times.system
    return used
