"""A process is told from all others, and seen to run or to have ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from study.store import owner as module
from study.store.owner import Owner, is_alive, this_process


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def owner_of(process: subprocess.Popen[bytes]) -> Owner:
    started = module._started(process.pid)
    assert started
    return replace(this_process(), process=process.pid, started=started)


def test_a_process_knows_itself() -> None:
    me = this_process()
    assert str(me) == f"process {os.getpid()} on {socket.gethostname()}"
    assert me == this_process()
    assert is_alive(me, me)


def test_a_process_of_this_machine_is_seen_to_run(child: subprocess.Popen[bytes]) -> None:
    assert is_alive(owner_of(child), this_process()) is True


def test_a_suspended_process_still_runs(child: subprocess.Popen[bytes]) -> None:
    owner = owner_of(child)
    child.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED)
    assert is_alive(owner, this_process()) is True


def test_a_killed_process_has_ended_whether_or_not_its_parent_asked_for_it(
    child: subprocess.Popen[bytes],
) -> None:
    owner = owner_of(child)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_alive(owner, this_process()) is False
    child.wait()
    assert is_alive(owner, this_process()) is False


def test_another_process_under_the_same_id_is_not_the_same(
    child: subprocess.Popen[bytes],
) -> None:
    assert is_alive(replace(owner_of(child), started="1"), this_process()) is False


def test_what_cannot_be_seen_is_not_guessed(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = owner_of(child)
    assert is_alive(replace(owner, machine="elsewhere"), this_process()) is None
    assert is_alive(replace(owner, started=""), this_process()) is None
    me = this_process()
    monkeypatch.setattr(module, "_started", lambda _: None)
    assert is_alive(owner, me) is None


def test_another_users_process_is_seen_to_run(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(process: int, number: int) -> None:
        raise PermissionError(process, number)

    owner = owner_of(child)
    monkeypatch.setattr(os, "kill", refuse)
    assert is_alive(owner, this_process()) is True


def test_a_name_with_blanks_and_brackets_does_not_hide_the_start(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "7 (a) S (b) c) S " + " ".join(str(field) for field in range(4, 53))
    monkeypatch.setattr(module.Path, "read_text", lambda *_, **__: text)
    assert module._started(child.pid) == "22"


def test_without_proc_no_machine_is_taken_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(module.Path, "read_text", refuse)
    names = {module._this_machine.__wrapped__() for _ in range(2)}
    assert len(names) == 2
    assert this_process().started == ""
