"""Processes that outlive who began them: found again, ended, and never taken for others."""

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
from cluster.process_session import processes
from cluster.service import begun as begun_module
from cluster.service.begun import MARK, Begun, Launch, is_marked, launch, read_begun
from cluster.service.folder import ServiceFolder
from cluster.service.lock import holding

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
def start(folder: ServiceFolder) -> Iterator[Callable[..., Begun]]:
    """Give a function that begins a process; all are killed in the end."""
    started: list[Begun] = []

    def start(*command: str, **environment: str) -> Begun:
        what = Launch(
            command=command,
            environment={"PATH": os.environ["PATH"], MARK: MINE, **environment},
            folder=folder.root,
            log=folder.log("part"),
        )
        with holding(folder) as lock:
            launch(what, folder.process("part"), lock)
        found = read(folder)
        started.append(found)
        return found

    yield start
    for each in started:
        each.kill()


def read(folder: ServiceFolder) -> Begun:
    found = read_begun(folder.process("part"), MINE, folder.root)
    assert found is not None
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def living() -> set[int]:
    return {each.number for each in processes()}


def test_a_process_is_found_by_what_it_wrote_itself_and_is_nobody_s_child(
    start, folder: ServiceFolder
) -> None:
    begun = start(*SLEEPS)
    assert begun.lives()
    wait_until(lambda: "sleep(600)" in title(begun.number))
    (process,) = (each for each in processes() if each.number == begun.number)
    assert process.session == begun.number
    assert process.parent != os.getpid()
    assert is_marked(begun.number, MINE)
    assert 0 <= begun.age_s() < 60
    assert folder.process("part").stat().st_mode & 0o777 == 0o600


def title(number: int) -> str:
    return Path(f"/proc/{number}/cmdline").read_bytes().decode()


def test_its_output_is_the_log_its_input_nothing_and_the_lock_is_free(
    start, folder: ServiceFolder
) -> None:
    begun = start(
        sys.executable,
        "-c",
        "import os, sys; print(sys.stdin.read() == ''); print(os.listdir('/proc/self/fd'), "
        "file=sys.stderr)",
    )
    wait_until(lambda: not begun.lives())
    said = folder.log("part").read_text().splitlines()
    assert "True" in said
    assert "'0', '1', '2', '3'" in "".join(said)
    assert "'4'" not in "".join(said)
    assert folder.log("part").stat().st_mode & 0o777 == 0o600


def test_all_of_its_session_is_ended_also_when_it_was_killed_itself(start) -> None:
    for first in (False, True):
        begun = start(*FAMILY)
        wait_until(lambda begun=begun: len(begun.members()) == 3)
        members = begun.members()
        if first:
            os.kill(begun.number, signal.SIGKILL)
            wait_until(lambda begun=begun: not begun.lives())
            assert len(begun.members()) == 2
        begun.end(10.0)
        assert begun.members() == ()
        assert not set(members) & living()


def test_a_process_that_does_not_listen_is_killed(start, folder: ServiceFolder) -> None:
    begun = start("/bin/sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done")
    wait_until(lambda: "deaf" in folder.log("part").read_text())
    begun.end(0.2)
    assert not begun.lives()


def test_a_process_with_a_recycled_number_is_left_alone(folder: ServiceFolder) -> None:
    with subprocess.Popen(SLEEPS, start_new_session=True, cwd="/") as stranger:
        try:
            stat = Path(f"/proc/{stranger.pid}/stat").read_text()
            fields = stat.rpartition(") ")
            later = fields[2].split()
            later[19] = str(int(later[19]) - 1)
            boot = Path("/proc/sys/kernel/random/boot_id").read_text()
            record = f"{fields[0]}) {' '.join(later)}\n{boot}"
            folder.process("part").write_text(record)
            begun = read(folder)
            assert begun.number == stranger.pid
            assert not begun.lives()
            assert begun.members() == ()
            begun.end(0.0)
            begun.signal(signal.SIGKILL)
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_stranger_s_session_with_a_recycled_number_is_left_alone(folder: ServiceFolder) -> None:
    child = "import subprocess; subprocess.Popen(['sleep', '600'])"
    stranger = subprocess.Popen(
        [sys.executable, "-c", child], start_new_session=True, cwd="/", env={}
    )
    stranger.wait()
    (left,) = (each.number for each in processes() if each.session == stranger.pid)
    begun = Begun(
        number=stranger.pid,
        started=1,
        boot=Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        mark=MINE,
        home=folder.root,
    )
    try:
        assert begun.members() == ()
        begun.end(0.0)
        assert left in living()
    finally:
        os.kill(left, signal.SIGKILL)


def test_a_process_that_cannot_be_killed_is_named(monkeypatch) -> None:
    monkeypatch.setattr(begun_module, "_KILLED_S", 0.0)
    monkeypatch.setattr(begun_module, "signal_process", lambda *_: True)
    with pytest.raises(ClusterError) as refused:
        begun_module.kill_all(lambda: [4711])
    assert str(refused.value) == (
        "process 4711 must end when it is killed, but still has not after 0 s; see what it waits "
        "for in /proc/4711/stack, and repeat the command."
    )


def test_after_a_restart_of_the_machine_nothing_is_ours(start) -> None:
    begun = start(*SLEEPS)
    before = dataclasses.replace(begun, boot="another boot")
    assert not before.lives()
    assert before.members() == ()
    before.end(0.0)
    assert begun.lives()


def test_a_record_that_was_never_written_is_no_process(folder: ServiceFolder) -> None:
    assert read_begun(folder.process("part"), MINE, folder.root) is None
    folder.process("part").touch()
    assert read_begun(folder.process("part"), MINE, folder.root) is None


def test_a_mark_is_the_whole_of_it(start) -> None:
    begun = start(*SLEEPS)
    assert not is_marked(begun.number, MINE[:-1])
    assert not is_marked(1 << 30, MINE)


_BEGINS = """
import os, signal, sys
from pathlib import Path
from cluster.service import begun
from cluster.service.begun import Launch, launch
from cluster.service.folder import ServiceFolder
from cluster.service.lock import holding
# Writes down which it is only when somebody says so.
gate = f"while ! [ -e {sys.argv[1]}/gate ]; do sleep 0.05; done; "
begun._DETACHED = (*begun._DETACHED[:4], gate + begun._DETACHED[4], "sh")
folder = ServiceFolder(root=Path(sys.argv[1]))
with holding(folder) as lock:
    what = Launch(command=("sleep", "600"), environment={"PATH": os.environ["PATH"]},
                  folder=folder.root, log=folder.log("part"))
    print("now", flush=True)
    launch(what, folder.process("part"), lock)
"""


def test_who_dies_in_the_middle_of_a_start_leaves_the_lock_until_the_process_is_known(
    folder: ServiceFolder,
) -> None:
    command = [sys.executable, "-c", _BEGINS, str(folder.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        starter.stdout.readline()
        wait_until(folder.process("part").exists)
        wait_until(lambda: any("gate" in safe_title(number) for number in living()))
        starter.kill()
    with folder.lock.open() as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert read_begun(folder.process("part"), MINE, folder.root) is None
        (folder.root / "gate").touch()
        fcntl.flock(lock, fcntl.LOCK_EX)
        begun = read(folder)
        assert begun.lives()
        begun.kill()
        assert not begun.lives()


def safe_title(number: int) -> str:
    try:
        return title(number)
    except OSError:
        return ""


def test_a_process_that_never_says_which_it_is_is_an_error(
    folder: ServiceFolder, monkeypatch
) -> None:
    monkeypatch.setattr(begun_module, "_DETACHED", ("true",))
    monkeypatch.setattr(begun_module, "_WRITTEN_S", 0.0)
    what = Launch(command=SLEEPS, environment={}, folder=folder.root, log=folder.log("part"))
    with holding(folder) as lock, pytest.raises(ClusterError) as refused:
        launch(what, folder.process("part"), lock)
    assert str(refused.value) == (
        f"{folder.process('part')} must tell which process was started, but still does not after "
        f"0 s; look at {folder.log('part')}."
    )
