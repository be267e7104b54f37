"""Sessions of processes: all members are found and ended, and nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.process_session import (
    end_session,
    kill_session,
    members,
    processes,
    signal_process,
    start_session,
    title,
)

# Three processes below the first: a plain child, one with a group of its own, and one that left
# the session, which has a child again.
_TREE = """
import subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
below = "import subprocess, sys, time; subprocess.Popen(sys.argv[1:]); time.sleep(600)"
subprocess.Popen(sleep)
subprocess.Popen(sleep, process_group=0)
subprocess.Popen([sys.executable, "-c", below, *sleep], start_new_session=True)
time.sleep(600)
"""


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    started = []

    def start(source: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", source]
        started.append(start_session(command, os.environ, tmp_path / "log", tmp_path))
        return started[-1]

    yield start
    for process in started:
        kill_session(process)


def test_all_members_are_found_and_killed_also_those_that_left_group_or_session(start) -> None:
    leader = start(_TREE)
    wait_until(lambda: len(members(leader.pid)) == 5)
    found = members(leader.pid)
    assert leader.pid in found
    kill_session(leader)
    assert not set(found) & {process.number for process in processes()}
    assert leader.returncode == -signal.SIGKILL
    assert members(leader.pid) == ()


def test_members_are_found_after_their_leader_has_died(start) -> None:
    leader = start(
        "import subprocess, sys; "
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    )
    assert leader.wait(60) == 0
    assert len(members(leader.pid)) == 1
    kill_session(leader)
    assert members(leader.pid) == ()


def test_others_are_left_alone(start) -> None:
    first, second = start("import time; time.sleep(600)"), start("import time; time.sleep(600)")
    kill_session(first)
    kill_session(first)
    assert second.poll() is None
    assert members(second.pid) == (second.pid,)
    assert os.getpid() in {process.number for process in processes()}


def test_a_session_is_asked_before_it_is_killed(start, tmp_path: Path) -> None:
    leader = start(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    wait_until(lambda: "ready" in (tmp_path / "log").read_text())
    end_session(leader)
    assert leader.returncode == 7


def test_a_session_that_does_not_listen_is_killed(start, tmp_path: Path) -> None:
    leader = start(
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    wait_until(lambda: "ready" in (tmp_path / "log").read_text())
    end_session(leader, patience_s=0.3)
    assert leader.returncode == -signal.SIGKILL


def test_the_log_is_its_owner_s_alone_and_grows(start, tmp_path: Path) -> None:
    for word in ("one", "two"):
        assert start(f"print('{word}')").wait(60) == 0
    assert (tmp_path / "log").read_text() == "one\ntwo\n"
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_a_process_that_is_gone_cannot_be_signalled_and_has_no_title(start) -> None:
    leader = start("pass")
    leader.wait(60)
    assert signal_process(leader.pid, signal.SIGTERM) is False
    assert title(leader.pid) == ""
    assert "python" in title(os.getpid())
