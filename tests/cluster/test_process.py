"""Processes are found and killed with their session or children, and no others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.process import (
    StartupWait,
    child_pids,
    command_line,
    cpu_seconds,
    kill_session,
    kill_tree,
    processes,
    send_signal,
    session_pids,
    start_session,
    terminate_session,
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
    wait_until(lambda: len(session_pids(leader.pid)) == 5)
    found = session_pids(leader.pid)
    assert leader.pid in found
    kill_session(leader)
    assert not set(found) & {process.pid for process in processes()}
    assert leader.returncode == -signal.SIGKILL
    assert session_pids(leader.pid) == ()


def test_members_are_found_after_their_leader_has_died(start) -> None:
    leader = start(
        "import subprocess, sys; "
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    )
    assert leader.wait(60) == 0
    assert len(session_pids(leader.pid)) == 1
    kill_session(leader)
    assert session_pids(leader.pid) == ()


def test_others_are_left_alone(start) -> None:
    first, second = start("import time; time.sleep(600)"), start("import time; time.sleep(600)")
    kill_session(first)
    kill_session(first)
    assert second.poll() is None
    assert session_pids(second.pid) == (second.pid,)
    assert os.getpid() in {process.pid for process in processes()}


@pytest.mark.parametrize(
    ("handler", "code"),
    [("lambda *_: sys.exit(7)", 7), ("signal.SIG_IGN", -signal.SIGKILL)],
    ids=["SIGTERM ends it", "SIGTERM is ignored"],
)
def test_a_session_gets_sigterm_before_sigkill(start, tmp_path: Path, handler, code) -> None:
    leader = start(
        "import signal, sys, time\n"
        f"signal.signal(signal.SIGTERM, {handler})\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    wait_until(lambda: "ready" in (tmp_path / "log").read_text())
    terminate_session(leader, timeout_s=10.0 if code == 7 else 0.3)
    assert leader.returncode == code


def test_the_log_is_its_owner_s_alone_and_grows(start, tmp_path: Path) -> None:
    for word in ("one", "two"):
        assert start(f"print('{word}')").wait(60) == 0
    assert (tmp_path / "log").read_text() == "one\ntwo\n"
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_a_process_that_is_gone_cannot_be_signaled_and_has_no_command_line(start) -> None:
    leader = start("pass")
    leader.wait(60)
    assert send_signal(leader.pid, signal.SIGTERM) is False
    assert command_line(leader.pid) == ""
    assert "python" in command_line(os.getpid())


# Each child is the leader of a session of its own, as PostgreSQL's are.
_SCRIPT = "setsid sleep 300 & setsid sleep 300 & wait"


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sh", "-c", _SCRIPT], start_new_session=True)
    sleeps = ["sleep 300"] * 2
    wait_until(lambda: [command_line(pid) for pid in child_pids(process.pid)] == sleeps)
    yield process
    kill_tree(process)


def test_children_are_found_in_sessions_of_their_own(parent) -> None:
    found = child_pids(parent.pid)
    assert len(found) == 2
    assert {os.getsid(pid) for pid in found}.isdisjoint({os.getsid(parent.pid)})
    assert parent.pid in child_pids(os.getpid())


def test_a_process_is_killed_with_its_children_and_nothing_else(parent) -> None:
    bystander = subprocess.Popen(["sleep", "300"])
    below = child_pids(parent.pid)
    kill_tree(parent)
    assert parent.returncode == -9
    assert not {process.pid for process in processes()} & set(below)
    assert bystander.poll() is None
    kill_tree(bystander)


def test_a_process_that_has_ended_has_nothing_to_kill() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    kill_tree(process)
    assert process.returncode == 0


@dataclass
class Clock:
    """A clock that stands still."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


def waited(cpu_s: Callable[[float], float]) -> float:
    """Return after how many seconds a wait of 100 s is over, given the processor time used."""
    clock = Clock()
    wait = StartupWait(timeout_s=100.0, clock=clock)
    while not wait.is_over(cpu_s(clock.now_s)):
        clock.now_s += 1
    assert wait.waited_s == clock.now_s
    return clock.now_s


@pytest.mark.parametrize(
    ("cpu_s", "expected"),
    [
        # Nothing works, or it stops before the timeout.
        (lambda _: 0.0, 101),
        (lambda now: min(now, 30.0), 101),
        # A busy machine gives it a twentieth of a processor: it may go on.
        (lambda now: now / 20, 501),
        # It worked until 300 s; a minute later nothing is to be hoped for.
        (lambda now: min(now, 300.0), 361),
        # Less than a second in a minute is no progress.
        (lambda now: now / 110, 101),
    ],
)
def test_a_wait_grows_while_what_is_waited_for_works(
    cpu_s: Callable[[float], float], expected: float
) -> None:
    assert waited(cpu_s) == expected


def test_the_processor_time_of_processes_is_summed_up_and_that_of_ended_ones_is_none() -> None:
    mine = cpu_seconds([os.getpid()])
    sum(i * i for i in range(10**6))
    assert cpu_seconds([os.getpid()]) > mine > 0
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert cpu_seconds([ended.pid]) == 0.0
