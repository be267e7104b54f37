"""Ending a process with what it started, wherever that has put itself."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.process_tree import children, kill_with_children

# Each child is the leader of a session of its own, as PostgreSQL's are.
_SCRIPT = "setsid sleep 300 & setsid sleep 300 & wait"


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sh", "-c", _SCRIPT], start_new_session=True)
    end = time.monotonic() + 30
    while "sleep" not in names(children(process.pid)) and time.monotonic() < end:
        time.sleep(0.01)
    yield process
    kill_with_children(process)


def names(numbers: list[int]) -> set[str]:
    return {Path(f"/proc/{number}/comm").read_text().strip() for number in numbers}


def is_alive(number: int) -> bool:
    try:
        status = Path(f"/proc/{number}/status").read_text()
    except FileNotFoundError:
        return False
    return "State:\tZ" not in status


def test_children_are_found_in_sessions_of_their_own(parent) -> None:
    found = children(parent.pid)
    assert len(found) == 2
    assert {os.getsid(number) for number in found}.isdisjoint({os.getsid(parent.pid)})
    assert parent.pid in children(os.getpid())


def test_a_process_is_killed_with_its_children_and_nothing_else(parent) -> None:
    bystander = subprocess.Popen(["sleep", "300"])
    below = children(parent.pid)
    kill_with_children(parent)
    assert parent.returncode == -9
    assert not any(is_alive(number) for number in below)
    assert bystander.poll() is None
    kill_with_children(bystander)


def test_a_process_that_has_ended_has_nothing_to_kill() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    kill_with_children(process)
    assert process.returncode == 0


def test_a_name_with_parentheses_and_blanks_is_no_obstacle(tmp_path: Path) -> None:
    program = tmp_path / "a) Z 1 (b"
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([program, "300"])
    try:
        assert process.pid in children(os.getpid())
    finally:
        kill_with_children(process)
