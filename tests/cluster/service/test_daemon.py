"""Processes that outlive their command: found again, ended, and never mistaken for others."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.process import command_line, processes
from cluster.service import daemon as daemon_module
from cluster.service.daemon import (
    INSTANCE_VARIABLE,
    DaemonProcess,
    ProcessSpec,
    has_instance_id,
    read_daemon,
    start_daemon,
)
from cluster.service.folder import ServiceFolder, service_lock

pytestmark = pytest.mark.service

MINE = "0123456789abcdef"
SLEEPS = (sys.executable, "-c", "import time; time.sleep(600)")
# Sleeps with two children, one of which leaves for a folder and an environment of its own.
FAMILY = (
    sys.executable,
    "-c",
    "import subprocess, time\n"
    f"sleep = {['sleep', '600']!r}\n"
    "subprocess.Popen(sleep)\n"
    "subprocess.Popen(sleep, cwd='/', env={})\n"
    "time.sleep(600)",
)


@pytest.fixture
def folder(tmp_path: Path) -> ServiceFolder:
    folder = ServiceFolder(root=tmp_path / "service")
    folder.prepare()
    return folder


@pytest.fixture
def start(folder: ServiceFolder) -> Iterator[Callable[..., DaemonProcess]]:
    """Return a function that starts a process; all are killed at the end."""
    started: list[DaemonProcess] = []

    def start(*command: str, **environment: str) -> DaemonProcess:
        spec = ProcessSpec(
            command=command,
            environment={"PATH": os.environ["PATH"], INSTANCE_VARIABLE: MINE, **environment},
            folder=folder.root,
            log=folder.log("part"),
        )
        with service_lock(folder) as lock:
            start_daemon(spec, folder.pid_file("part"), lock)
        found = read(folder)
        started.append(found)
        return found

    yield start
    for each in started:
        each.kill()


def read(folder: ServiceFolder) -> DaemonProcess:
    found = read_daemon(folder.pid_file("part"), MINE, folder.root)
    assert found is not None
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def living() -> set[int]:
    return {each.pid for each in processes()}


def test_a_process_is_found_by_its_own_record_and_is_no_child_of_ours(
    start, folder: ServiceFolder
) -> None:
    daemon = start(*SLEEPS)
    assert daemon.is_alive()
    wait_until(lambda: "sleep(600)" in command_line(daemon.pid))
    (process,) = (each for each in processes() if each.pid == daemon.pid)
    assert process.sid == daemon.pid
    assert process.ppid != os.getpid()
    assert has_instance_id(daemon.pid, MINE)
    assert abs(time.time() - daemon.started_s) < 60
    assert folder.pid_file("part").stat().st_mode & 0o777 == 0o600


def test_its_output_is_the_log_its_input_nothing_and_the_lock_is_free(
    start, folder: ServiceFolder
) -> None:
    daemon = start(
        sys.executable,
        "-c",
        "import os, sys; print(sys.stdin.read() == ''); print(os.listdir('/proc/self/fd'), "
        "file=sys.stderr)",
    )
    wait_until(lambda: not daemon.is_alive())
    said = folder.log("part").read_text().splitlines()
    assert "True" in said
    assert "'0', '1', '2', '3'" in "".join(said)
    assert "'4'" not in "".join(said)
    assert folder.log("part").stat().st_mode & 0o777 == 0o600


def test_the_whole_session_is_ended_also_after_its_leader_was_killed(start) -> None:
    for first in (False, True):
        daemon = start(*FAMILY)
        wait_until(lambda daemon=daemon: len(daemon.pids()) == 3)
        pids = daemon.pids()
        if first:
            os.kill(daemon.pid, signal.SIGKILL)
            wait_until(lambda daemon=daemon: not daemon.is_alive())
            assert len(daemon.pids()) == 2
        daemon.terminate(10.0)
        assert daemon.pids() == ()
        assert not set(pids) & living()


def test_a_process_that_ignores_sigterm_is_killed(start, folder: ServiceFolder) -> None:
    daemon = start("/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
    wait_until(lambda: "ready" in folder.log("part").read_text())
    daemon.terminate(0.2)
    assert not daemon.is_alive()


def test_another_process_with_a_reused_pid_is_left_alone(folder: ServiceFolder) -> None:
    with subprocess.Popen(SLEEPS, start_new_session=True, cwd="/") as other:
        try:
            stat = Path(f"/proc/{other.pid}/stat").read_text()
            fields = stat.rpartition(") ")
            later = fields[2].split()
            later[19] = str(int(later[19]) - 1)
            boot_id = Path("/proc/sys/kernel/random/boot_id").read_text()
            record = f"{fields[0]}) {' '.join(later)}\n{boot_id}"
            folder.pid_file("part").write_text(record)
            daemon = read(folder)
            assert daemon.pid == other.pid
            assert not daemon.is_alive()
            assert daemon.pids() == ()
            daemon.terminate(0.0)
            daemon.signal(signal.SIGKILL)
            assert other.poll() is None
        finally:
            other.kill()


def test_another_session_with_a_reused_pid_is_left_alone(folder: ServiceFolder) -> None:
    child = "import subprocess; subprocess.Popen(['sleep', '600'])"
    other = subprocess.Popen(
        [sys.executable, "-c", child], start_new_session=True, cwd="/", env={}
    )
    other.wait()
    (left,) = (each.pid for each in processes() if each.sid == other.pid)
    daemon = DaemonProcess(
        pid=other.pid,
        start_ticks=1,
        boot_id=Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        instance_id=MINE,
        root_dir=folder.root,
    )
    try:
        assert daemon.pids() == ()
        daemon.terminate(0.0)
        assert left in living()
    finally:
        os.kill(left, signal.SIGKILL)


def test_a_process_that_cannot_be_killed_is_named(monkeypatch) -> None:
    monkeypatch.setattr(daemon_module, "_KILL_TIMEOUT_S", 0.0)
    monkeypatch.setattr(daemon_module, "send_signal", lambda *_: True)
    with pytest.raises(ClusterError) as refused:
        daemon_module.kill_all(lambda: [4711])
    assert str(refused.value) == (
        "process 4711 must end when it is killed, but still has not after 0 s; see what it waits "
        "for in /proc/4711/stack, and repeat the command."
    )


def test_after_a_reboot_no_process_is_ours(start) -> None:
    daemon = start(*SLEEPS)
    before = dataclasses.replace(daemon, boot_id="another boot")
    assert not before.is_alive()
    assert before.pids() == ()
    before.terminate(0.0)
    assert daemon.is_alive()


def test_a_record_that_was_never_written_is_no_process(folder: ServiceFolder) -> None:
    assert read_daemon(folder.pid_file("part"), MINE, folder.root) is None
    folder.pid_file("part").touch()
    assert read_daemon(folder.pid_file("part"), MINE, folder.root) is None


def test_an_instance_id_is_the_whole_of_it(start) -> None:
    daemon = start(*SLEEPS)
    assert not has_instance_id(daemon.pid, MINE[:-1])
    assert not has_instance_id(1 << 30, MINE)


_STARTS = """
import os, signal, sys
from pathlib import Path
from cluster.service import daemon
from cluster.service.daemon import ProcessSpec, start_daemon
from cluster.service.folder import ServiceFolder
from cluster.service.folder import service_lock
# Writes its record only after the gate exists.
gate = f"while ! [ -e {sys.argv[1]}/gate ]; do sleep 0.05; done; "
daemon._DETACHED = (*daemon._DETACHED[:4], gate + daemon._DETACHED[4], "sh")
folder = ServiceFolder(root=Path(sys.argv[1]))
with service_lock(folder) as lock:
    what = ProcessSpec(command=("sleep", "600"), environment={"PATH": os.environ["PATH"]},
                  folder=folder.root, log=folder.log("part"))
    print("now", flush=True)
    start_daemon(what, folder.pid_file("part"), lock)
"""


def test_a_command_killed_during_a_start_leaves_the_lock_until_the_record_is_written(
    folder: ServiceFolder,
) -> None:
    command = [sys.executable, "-c", _STARTS, str(folder.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        starter.stdout.readline()
        wait_until(folder.pid_file("part").exists)
        wait_until(lambda: any("gate" in command_line(pid) for pid in living()))
        starter.kill()
    with folder.lock.open() as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert read_daemon(folder.pid_file("part"), MINE, folder.root) is None
        (folder.root / "gate").touch()
        fcntl.flock(lock, fcntl.LOCK_EX)
        daemon = read(folder)
        assert daemon.is_alive()
        daemon.kill()
        assert not daemon.is_alive()


def test_a_process_that_writes_no_record_is_an_error(folder: ServiceFolder, monkeypatch) -> None:
    monkeypatch.setattr(daemon_module, "_DETACHED", ("true",))
    monkeypatch.setattr(daemon_module, "_RECORD_TIMEOUT_S", 0.0)
    spec = ProcessSpec(command=SLEEPS, environment={}, folder=folder.root, log=folder.log("part"))
    with service_lock(folder) as lock, pytest.raises(ClusterError) as refused:
        start_daemon(spec, folder.pid_file("part"), lock)
    assert str(refused.value) == (
        f"{folder.pid_file('part')} must name the process that was started, but still does not "
        f"after 0 s; look at {folder.log('part')}."
    )
