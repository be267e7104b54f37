"""Fixtures of fault-tolerance tests: a shell, and the results of an uninterrupted study."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.study.fault_tolerance.consistency import STUDY
from tests.study.fault_tolerance.shell import Shell
from tests.support.simulated import StudyFixture, metrics_of


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Callable[[str], Shell]]:
    """Yield a function that opens a shell for an executor; its processes are ended at the end."""
    ray = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    shells: list[Shell] = []

    def open_shell(executor: str) -> Shell:
        (tmp_path / "tiny.yaml").write_text(STUDY)
        shells.append(Shell(folder=tmp_path, ray=ray, executor=executor))
        return shells[-1]

    yield open_shell
    for opened in shells:
        for process in opened.started:
            if process.poll() is None:
                process.kill()
                process.wait()
        for pid in opened.pids():
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(ray, ignore_errors=True)


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the report logs of the uninterrupted study."""
    from study.engine.executors import run_inline

    place = StudyFixture.of(tmp_path_factory.mktemp("whole"), STUDY)
    run_inline(place.coordinator(), place.context)
    return metrics_of(place.folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    """Return the URL of a database, or None for the one in the storage folder."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
