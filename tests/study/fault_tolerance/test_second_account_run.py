"""Loopback is not one user: what another account of the machine can do to a plain run."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.study.fault_tolerance.shell import TIMEOUT_S, Shell
from tests.support.second_account import attempts, targets_of
from tests.support.simulated import study_text

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1800), pytest.mark.extended]


@pytest.fixture
def shell() -> Iterator[Shell]:
    """Open a shell in a home that others may look into, as many a system makes it."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another account")
    home = Path(tempfile.mkdtemp(prefix="home-", dir="/tmp"))
    home.chmod(0o755)
    ray = home / "r"
    ray.mkdir(mode=0o777)
    ray.chmod(0o777)
    opened = Shell(folder=home, ray=ray, executor="ray")
    yield opened
    for process in opened.started:
        if process.poll() is None:
            process.kill()
            process.wait()
    for pid in opened.pids():
        os.kill(pid, 9)
    shutil.rmtree(home, ignore_errors=True)


def test_nothing_of_a_plain_run_is_read_written_or_run_by_another_account(shell: Shell) -> None:
    (shell.folder / "tiny.yaml").write_text(study_text(epochs=60, trials=4))
    process = shell.start("run", "tiny.yaml")
    shell.until_reports(process, 4)
    (session,) = shell.ray.iterdir()
    found = targets_of(shell.pids(), [shell.root, shell.folder / ".ray", session])
    # Something was tried: Ray's head and workers, its sockets and logs, the database.
    assert len(found.ports) > 5
    assert len(found.sockets) >= 2
    assert {address for address, _ in found.ports} <= {"127.0.0.1", "::1"}
    assert {str(shell.root / "optuna.db"), str(shell.folder / ".ray" / "auth_token")} <= set(
        found.paths
    )
    assert any(path.endswith(".log") and path.startswith(str(session)) for path in found.paths)
    assert process.poll() is None
    # Where the test keeps what the run says.
    paths = [path for path in found.paths if path != str(shell.log)]
    assert attempts(dataclasses.replace(found, paths=paths)) == []
    process.terminate()
    process.wait(TIMEOUT_S)
    # Nothing of Ray's is left for anybody.
    assert list(shell.ray.iterdir()) == []
