"""One process runs a study at a time; a process that dies, however it dies, lets go."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.errors import BusyError
from study.store.folder import StudyFolder
from study.store.lease import is_running, lease

_HOLDER = """
import sys, time
from pathlib import Path
from study.store.folder import StudyFolder
from study.store.lease import lease
with lease(StudyFolder(path=Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return StudyFolder(path=tmp_path / "tiny")


@pytest.fixture
def holder(folder: StudyFolder) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _HOLDER, str(folder.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_with_host_and_process_of_the_first(
    folder: StudyFolder, holder: subprocess.Popen[str]
) -> None:
    assert is_running(folder)
    with pytest.raises(BusyError) as refused, lease(folder):
        pass
    text = str(refused.value)
    start = f"study 'tiny' is being run by process {holder.pid} on {socket.gethostname()} since 2"
    assert text.startswith(start)
    assert text.endswith("; wait for it, or stop it with Ctrl-C and start again.")


def test_a_refusal_leaves_the_owner_as_it_was(
    folder: StudyFolder, holder: subprocess.Popen[str]
) -> None:
    before = folder.lock.read_text()
    with pytest.raises(BusyError), lease(folder):
        pass
    assert folder.lock.read_text() == before
    assert holder.poll() is None


def test_a_killed_process_lets_go(folder: StudyFolder, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert not is_running(folder)
    with lease(folder):
        assert str(os.getpid()) in folder.lock.read_text()


def test_a_study_can_be_held_again_and_again(folder: StudyFolder) -> None:
    assert not is_running(folder)
    for _ in range(2):
        with lease(folder):
            assert is_running(folder)
        assert not is_running(folder)


def test_a_study_is_let_go_when_its_run_fails(folder: StudyFolder) -> None:
    with pytest.raises(KeyError), lease(folder):
        raise KeyError
    assert not is_running(folder)


def test_a_lock_that_says_nothing_still_refuses(
    folder: StudyFolder, holder: subprocess.Popen[str]
) -> None:
    assert holder.poll() is None
    folder.lock.write_text("")
    with pytest.raises(BusyError, match="is being run by another process; wait"), lease(folder):
        pass
