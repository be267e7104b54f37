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
from cluster.process import processes, send_signal

_BOOT_ID_FILE: Final = Path("/proc/sys/kernel/random/boot_id")
# Names the service in the environment of all its processes.
INSTANCE_VARIABLE: Final = "CHALLENGER_SERVICE"
_POLL_INTERVAL_S: Final = 0.05
# Its output is the record, its input the lock; the program's are the log and nothing.
_SCRIPT: Final = f'cat /proc/$$/stat {_BOOT_ID_FILE} && exec "$@" >&2 </dev/null'
# Nobody's child, so that it may go on, and with a session of its own.
_DETACHED: Final = ("setsid", "--fork", "/bin/sh", "-c", _SCRIPT, "sh")
_RECORD_TIMEOUT_S: Final = 10.0
_KILL_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """What a part of the service is started with.

    Attributes:
        command: Program and arguments.
        environment: Its whole environment.
        folder: Its current folder.
        log: File that its output is added to.
        user: Under whom it runs, as arguments of ``subprocess.Popen``; nothing for ourselves.
        umask: Modes that none of its new files has.
    """

    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    log: Path
    user: Mapping[str, Any] = field(default_factory=dict)
    umask: int = 0o077


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonProcess:
    """A process that was begun, with a session of its own.

    Attributes:
        pid: Its number, and its session's.
        start_ticks: When it started, in ticks since the boot.
        boot_id: The boot's name.
        instance_id: What its processes have in their environment.
        root_dir: Folder at or below which they begin.
    """

    pid: int
    start_ticks: int
    boot_id: str
    instance_id: str
    root_dir: Path

    def is_alive(self) -> bool:
        """Tell whether this very process lives; one that has ended and is unburied does not."""
        return _read_start_ticks(self.pid) == self.start_ticks and _read_boot_id() == self.boot_id

    def pids(self) -> tuple[int, ...]:
        """Give the living processes of its session, also when it has ended itself."""
        if _read_boot_id() != self.boot_id:
            return ()
        found = [each.pid for each in processes() if each.sid == self.pid]
        # A number is not given anew while a session has it. If the first process is gone, all may
        # be, and the session another's: then one of ours must be known by more than the number.
        if self.is_alive() or any(self._is_ours(pid) for pid in found):
            return tuple(found)
        return ()

    def age_s(self) -> float:
        """Give for how many seconds it has lived, or would have."""
        uptime = float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
        return uptime - self.start_ticks / os.sysconf("SC_CLK_TCK")

    def signal(self, signum: signal.Signals) -> None:
        """Send a signal to the process alone, if it lives."""
        if self.is_alive():
            send_signal(self.pid, signum)

    def terminate(self, timeout_s: float) -> None:
        """Ask all of the session to end, wait, and kill what is left."""
        for pid in self.pids():
            send_signal(pid, signal.SIGTERM)
        deadline = time.monotonic() + timeout_s
        while self.pids() and time.monotonic() < deadline:
            time.sleep(_POLL_INTERVAL_S)
        self.kill()

    def kill(self) -> None:
        """Kill all of the session; none is left.

        Raises:
            ClusterError: If one cannot be killed.
        """
        kill_all(self.pids)

    def _is_ours(self, pid: int) -> bool:
        return has_instance_id(pid, self.instance_id) or _runs_below(pid, self.root_dir)


def kill_all(pids: Callable[[], Sequence[int]]) -> None:
    """Kill processes until there are none any more.

    Args:
        pids: Gives those that live.

    Raises:
        ClusterError: If one cannot be killed: it waits for a disk or a device.
    """
    deadline = time.monotonic() + _KILL_TIMEOUT_S
    # Again and again: between the look and the kill one may have started another.
    while found := pids():
        if time.monotonic() > deadline:
            raise ClusterError(
                f"process {found[0]} must end when it is killed, but still has not after "
                f"{_KILL_TIMEOUT_S:.0f} s; see what it waits for in /proc/{found[0]}/stack, and repeat "
                "the command."
            )
        for pid in found:
            send_signal(pid, signal.SIGKILL)
        time.sleep(_POLL_INTERVAL_S)


def start_daemon(spec: ProcessSpec, record: Path, lock: int) -> None:
    """Start a process with a session of its own, and wait until it has written which it is.

    Args:
        spec: Program and surroundings.
        record: File that is written; who reads it holds the lock.
        lock: Descriptor of the service's lock.

    Raises:
        ClusterError: If it did not write.
    """
    record.unlink(missing_ok=True)
    try:
        _spawn_detached(spec, record, lock)
    finally:
        # Also if we are interrupted: who ends it must find it.
        _wait_for_record(record, spec.log)


def _spawn_detached(spec: ProcessSpec, record: Path, lock: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
    with (
        open(os.open(record, flags | os.O_EXCL, 0o600), "wb") as output,
        open(os.open(spec.log, flags | os.O_APPEND, 0o600), "ab") as log,
    ):
        subprocess.run(
            [*_DETACHED, *spec.command],
            env=dict(spec.environment),
            cwd=spec.folder,
            stdin=lock,
            stdout=output,
            stderr=log,
            check=True,
            umask=spec.umask,
            **spec.user,
        )


def _wait_for_record(record: Path, log: Path) -> None:
    deadline = time.monotonic() + _RECORD_TIMEOUT_S
    while not is_complete(record):
        if time.monotonic() > deadline:
            raise ClusterError(
                f"{record} must tell which process was started, but still does not after "
                f"{_RECORD_TIMEOUT_S:.0f} s; look at {log}."
            )
        time.sleep(_POLL_INTERVAL_S)


def is_complete(record: Path) -> bool:
    """Tell whether a process has written which it is."""
    with suppress(FileNotFoundError):
        return record.read_bytes().count(b"\n") == 2
    return False


def read_daemon(record: Path, instance_id: str, root_dir: Path) -> DaemonProcess | None:
    """Read which process a part is; None if it never came to be."""
    if not is_complete(record):
        return None
    lines = record.read_text(encoding="utf-8", errors="replace").splitlines()
    pid, rest = lines[0].split(" ", 1)[0], lines[0].rpartition(")")[2].split()
    return DaemonProcess(
        pid=int(pid),
        start_ticks=int(rest[19]),
        boot_id=lines[1],
        instance_id=instance_id,
        root_dir=root_dir,
    )


def has_instance_id(pid: int, instance_id: str) -> bool:
    """Tell whether a process has a service's mark in the environment that it began with."""
    with suppress(OSError):
        content = Path(f"/proc/{pid}/environ").read_bytes()
        return f"{INSTANCE_VARIABLE}={instance_id}".encode() in content.split(b"\0")
    return False


def _runs_below(pid: int, root_dir: Path) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(root_dir.resolve())
    return False


def _read_start_ticks(pid: int) -> int | None:
    with suppress(OSError):
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        fields = text.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else int(fields[19])
    return None


def _read_boot_id() -> str:
    return _BOOT_ID_FILE.read_text(encoding="utf-8").strip()
