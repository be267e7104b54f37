"""Processes that outlive the command that started them, and the records by which others find them.

The process itself writes its record before it executes its program: its line of
``/proc/PID/stat``, which holds its pid and start time, and the boot ID. Until then it holds the
service's lock, so that no process of a service ever lives without a record. A process that
reuses the pid has another start time.
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

import psutil

from cluster.errors import ClusterError
from cluster.process import processes, send_signal, wait_until

_BOOT_ID_FILE: Final = Path("/proc/sys/kernel/random/boot_id")
# Mark of the service in the environment of all its processes.
INSTANCE_VARIABLE: Final = "CHALLENGER_SERVICE"
_POLL_INTERVAL_S: Final = 0.05
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
# Its stdout is the record and its stdin the lock; the program's are the log and nothing.
_SCRIPT: Final = f'cat /proc/$$/stat {_BOOT_ID_FILE} && exec "$@" >&2 </dev/null'
# A child of init with a session of its own, so that it survives the command.
_DETACHED: Final = ("setsid", "--fork", "/bin/sh", "-c", _SCRIPT, "sh")
# A shell's two commands; on a machine that swaps they take long.
_RECORD_TIMEOUT_S: Final = 60.0
_KILL_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """Arguments of a component's process.

    Attributes:
        environment: Its whole environment.
        folder: Its working directory.
        log: File that its output is appended to.
        user: Its user, as arguments of ``subprocess.Popen``; empty for the present user.
        umask: Permission bits that its new files lack.
    """

    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    log: Path
    user: Mapping[str, Any] = field(default_factory=dict)
    umask: int = 0o077


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonProcess:
    """A process with a session of its own.

    Attributes:
        pid: Pid of it and of its session.
        start_ticks: Start, in clock ticks since the boot.
        boot_id: ID of the boot.
        instance_id: Mark in the environment of its processes.
        root_dir: Folder at or below which they start.
    """

    pid: int
    start_ticks: int
    boot_id: str
    instance_id: str
    root_dir: Path

    def is_alive(self) -> bool:
        """Return whether this process lives; a zombie or a process with its pid is not it."""
        return _read_start_ticks(self.pid) == self.start_ticks and _read_boot_id() == self.boot_id

    def pids(self) -> tuple[int, ...]:
        """Return the living processes of its session, also when it has ended itself."""
        if _read_boot_id() != self.boot_id:
            return ()
        found = [each.pid for each in processes() if each.sid == self.pid]
        # A pid is not reused while a session has it. If the leader has ended, the whole session
        # may have, and the sid be reused: then one process must be ours by more than its sid.
        if self.is_alive() or any(self._is_ours(pid) for pid in found):
            return tuple(found)
        return ()

    @property
    def started_s(self) -> float:
        """Start, in seconds since 1970."""
        boot_s: float = psutil.boot_time()
        return boot_s + self.start_ticks / _TICKS_PER_S

    def signal(self, signum: signal.Signals) -> None:
        """Send a signal to the process alone, if it lives."""
        if self.is_alive():
            send_signal(self.pid, signum)

    def terminate(self, timeout_s: float) -> None:
        """Send SIGTERM to all of the session, wait, and kill the rest."""
        for pid in self.pids():
            send_signal(pid, signal.SIGTERM)
        wait_until(lambda: not self.pids(), timeout_s)
        self.kill()

    def kill(self) -> None:
        """Kill all of the session. Raises as :func:`kill_all`."""
        kill_all(self.pids)

    def _is_ours(self, pid: int) -> bool:
        return has_instance_id(pid, self.instance_id) or _runs_below(pid, self.root_dir)


def kill_all(pids: Callable[[], Sequence[int]]) -> None:
    """Kill processes until ``pids`` returns none.

    Raises:
        ClusterError: If one cannot be killed: it waits for a disk or a device.
    """
    deadline = time.monotonic() + _KILL_TIMEOUT_S
    # Repeated, because a process may start another before it is killed.
    while found := pids():
        if time.monotonic() > deadline:
            raise ClusterError(
                f"process {found[0]} must end when it is killed, but still has not after "
                f"{_KILL_TIMEOUT_S:.0f} s; see what it waits for in /proc/{found[0]}/stack, and "
                "repeat the command."
            )
        for pid in found:
            send_signal(pid, signal.SIGKILL)
        time.sleep(_POLL_INTERVAL_S)


def start_daemon(spec: ProcessSpec, record: Path, lock: int) -> None:
    """Start a process with a session of its own, and wait until it has written its record.

    Args:
        spec: Arguments of the process.
        record: File that it writes; readers hold the lock.
        lock: Descriptor of the service's lock.

    Raises:
        ClusterError: If it did not write.
    """
    record.unlink(missing_ok=True)
    try:
        _spawn_detached(spec, record, lock)
    finally:
        # Also after an interrupt: the command that stops it must find it.
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
    if not wait_until(lambda: is_complete(record), _RECORD_TIMEOUT_S):
        raise ClusterError(
            f"{record} must name the process that was started, but still does not after "
            f"{_RECORD_TIMEOUT_S:.0f} s; look at {log}."
        )


def is_complete(record: Path) -> bool:
    """Return whether a process has written its record."""
    with suppress(FileNotFoundError):
        return record.read_bytes().count(b"\n") == 2
    return False


def read_daemon(record: Path, instance_id: str, root_dir: Path) -> DaemonProcess | None:
    """Return the process of a record; None if it never wrote one."""
    if not is_complete(record):
        return None
    stat, boot_id = record.read_text(encoding="utf-8").splitlines()
    # Its name, the second field, is that of the shell still.
    fields = stat.split()
    return DaemonProcess(
        pid=int(fields[0]),
        start_ticks=int(fields[21]),
        boot_id=boot_id,
        instance_id=instance_id,
        root_dir=root_dir,
    )


def has_instance_id(pid: int, instance_id: str) -> bool:
    """Return whether a process was started with a service's mark in its environment."""
    with suppress(psutil.Error):
        environment: dict[str, str] = psutil.Process(pid).environ()
        return environment.get(INSTANCE_VARIABLE) == instance_id
    return False


def _runs_below(pid: int, root_dir: Path) -> bool:
    with suppress(psutil.Error):
        return Path(psutil.Process(pid).cwd()).is_relative_to(root_dir.resolve())
    return False


def _read_start_ticks(pid: int) -> int | None:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            since_boot_s: float = process.create_time() - psutil.boot_time()
            return round(since_boot_s * _TICKS_PER_S)
    return None


def _read_boot_id() -> str:
    return _BOOT_ID_FILE.read_text(encoding="utf-8").strip()
