"""A process that outlives who began it, found again by another: never one with its old number.

The process itself writes down which it is, before it becomes the program: its line of
``/proc/N/stat``, which holds its number and when it started, and the boot's own name. Until it
has, it holds the service's lock. So there is no moment in which it lives and no record names it.
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
from typing import Any, Final

from cluster.errors import ClusterError
from cluster.process_session import processes, signal_process

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
# Names the service in the environment of all its processes.
MARK: Final = "CHALLENGER_SERVICE"
_PAUSE_S: Final = 0.05
# Its output is the record, its input the lock; the program's are the log and nothing.
_SCRIPT: Final = f'cat /proc/$$/stat {_BOOT} && exec "$@" >&2 </dev/null'
# Nobody's child, so that it may go on, and with a session of its own.
_DETACHED: Final = ("setsid", "--fork", "/bin/sh", "-c", _SCRIPT, "sh")
_WRITTEN_S: Final = 10.0
_KILLED_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What a part of the service is started with.

    Attributes:
        command: Program and arguments.
        environment: Its whole environment.
        folder: Its current folder.
        log: File that its output is added to.
        user: Under whom it runs, as arguments of ``subprocess.Popen``; nothing for ourselves.
    """

    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    log: Path
    user: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A process that was begun, with a session of its own.

    Attributes:
        number: Its number, and its session's.
        started: When it started, in ticks since the boot.
        boot: The boot's name.
        mark: What its processes have in their environment.
        home: Folder at or below which they begin.
    """

    number: int
    started: int
    boot: str
    mark: str
    home: Path

    def lives(self) -> bool:
        """Tell whether this very process lives; one that has ended and is unburied does not."""
        return _started(self.number) == self.started and _boot() == self.boot

    def members(self) -> tuple[int, ...]:
        """Give the living processes of its session, also when it has ended itself."""
        if _boot() != self.boot:
            return ()
        found = [each.number for each in processes() if each.session == self.number]
        # A number is not given anew while a session has it. If the first process is gone, all may
        # be, and the session another's: then one of ours must be known by more than the number.
        if self.lives() or any(self._is_ours(number) for number in found):
            return tuple(found)
        return ()

    def age_s(self) -> float:
        """Give for how many seconds it has lived, or would have."""
        uptime = float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
        return uptime - self.started / os.sysconf("SC_CLK_TCK")

    def signal(self, what: signal.Signals) -> None:
        """Send a signal to the process alone, if it lives."""
        if self.lives():
            signal_process(self.number, what)

    def end(self, patience_s: float) -> None:
        """Ask all of the session to end, wait, and kill what is left."""
        for number in self.members():
            signal_process(number, signal.SIGTERM)
        end = time.monotonic() + patience_s
        while self.members() and time.monotonic() < end:
            time.sleep(_PAUSE_S)
        self.kill()

    def kill(self) -> None:
        """Kill all of the session; none is left.

        Raises:
            ClusterError: If one cannot be killed.
        """
        kill_all(self.members)

    def _is_ours(self, number: int) -> bool:
        return is_marked(number, self.mark) or _is_below(number, self.home)


def kill_all(members: Callable[[], Sequence[int]]) -> None:
    """Kill processes until there are none any more.

    Args:
        members: Gives those that live.

    Raises:
        ClusterError: If one cannot be killed: it waits for a disk or a device.
    """
    end = time.monotonic() + _KILLED_S
    # Again and again: between the look and the kill one may have started another.
    while found := members():
        if time.monotonic() > end:
            raise ClusterError(
                f"process {found[0]} must end when it is killed, but still has not after "
                f"{_KILLED_S:.0f} s; see what it waits for in /proc/{found[0]}/stack, and repeat "
                "the command."
            )
        for number in found:
            signal_process(number, signal.SIGKILL)
        time.sleep(_PAUSE_S)


def launch(what: Launch, record: Path, lock: int) -> None:
    """Start a process with a session of its own, and wait until it has written which it is.

    Args:
        what: Program and surroundings.
        record: File that is written; who reads it holds the lock.
        lock: Descriptor of the service's lock.

    Raises:
        ClusterError: If it did not write.
    """
    record.unlink(missing_ok=True)
    try:
        _detach(what, record, lock)
    finally:
        # Also if we are interrupted: who ends it must find it.
        _wait_until_written(record, what.log)


def _detach(what: Launch, record: Path, lock: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
    with (
        open(os.open(record, flags | os.O_EXCL, 0o600), "wb") as output,
        open(os.open(what.log, flags | os.O_APPEND, 0o600), "ab") as log,
    ):
        subprocess.run(
            [*_DETACHED, *what.command],
            env=dict(what.environment),
            cwd=what.folder,
            stdin=lock,
            stdout=output,
            stderr=log,
            check=True,
            **what.user,
        )


def _wait_until_written(record: Path, log: Path) -> None:
    end = time.monotonic() + _WRITTEN_S
    while not is_written(record):
        if time.monotonic() > end:
            raise ClusterError(
                f"{record} must tell which process was started, but still does not after "
                f"{_WRITTEN_S:.0f} s; look at {log}."
            )
        time.sleep(_PAUSE_S)


def is_written(record: Path) -> bool:
    """Tell whether a process has written which it is."""
    with suppress(FileNotFoundError):
        return record.read_bytes().count(b"\n") == 2
    return False


def read_begun(record: Path, mark: str, home: Path) -> Begun | None:
    """Read which process a part is; None if it never came to be."""
    if not is_written(record):
        return None
    lines = record.read_text(encoding="utf-8", errors="replace").splitlines()
    number, rest = lines[0].split(" ", 1)[0], lines[0].rpartition(")")[2].split()
    return Begun(number=int(number), started=int(rest[19]), boot=lines[1], mark=mark, home=home)


def is_marked(number: int, mark: str) -> bool:
    """Tell whether a process has a service's mark in the environment that it began with."""
    with suppress(OSError):
        content = Path(f"/proc/{number}/environ").read_bytes()
        return f"{MARK}={mark}".encode() in content.split(b"\0")
    return False


def _is_below(number: int, home: Path) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{number}/cwd").readlink().is_relative_to(home.resolve())
    return False


def _started(number: int) -> int | None:
    with suppress(OSError):
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
        fields = text.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else int(fields[19])
    return None


def _boot() -> str:
    return _BOOT.read_text(encoding="utf-8").strip()
