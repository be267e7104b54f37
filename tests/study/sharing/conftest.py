"""A cluster that several studies share, and their drivers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cluster.quota import QueueRow
from cluster.quota.client import read_connected_queue
from cluster.session import ray_session
from tests.study.fault_tolerance.shell import TIMEOUT_S, Shell
from tests.support.local_cluster import LocalCluster
from tests.support.simulated import empty_database, study_text


@dataclass(slots=True, kw_only=True)
class StudyDrivers:
    """Drivers of studies on a cluster. Has mutable state: the processes."""

    cluster: LocalCluster
    shell: Shell
    drivers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, **changes: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401 (YAML)
        """Start a study of short trials, with a log of its own."""
        settings = {"sampler": "random", "sweep": [], **changes}
        path = self.shell.folder / f"{name}.yaml"
        path.write_text(study_text(name=name, **settings))
        with self.log(name).open("wb") as log:
            self.drivers[name] = subprocess.Popen(
                ["challenger-study", "run", path.name, "--address", self.cluster.address],
                cwd=self.shell.folder,
                env=self.shell.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.drivers[name]

    def log(self, name: str) -> Path:
        return self.shell.folder / f"{name}.log"

    def output(self, name: str) -> str:
        return self.log(name).read_text(encoding="utf-8")

    def rows(self) -> list[QueueRow]:
        """Return the rows of the queue."""
        return list(read_connected_queue("the test's cluster"))

    def row(self, name: str) -> QueueRow | None:
        return next((row for row in self.rows() if row.study == name), None)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition while no study has failed."""
        end = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < end, "timed out"
            for name, driver in self.drivers.items():
                assert driver.poll() in (None, 0, 130, -signal.SIGKILL), self.output(name)
            time.sleep(0.2)

    def n_ended(self, name: str) -> int:
        """Count the trials of a study that have ended."""
        folder = self.shell.root / name / "trials"
        return len(list(folder.glob("*/*/*/end.json")))


@pytest.fixture(scope="module")
def cluster(ray_home: Path) -> Iterator[LocalCluster]:  # noqa: ARG001 (its token)
    """Start a head without CPUs and a worker with two, and connect the test to it."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    # Ray reads a token once per process, and other tests in this process use the same.
    shutil.copy(os.environ["RAY_AUTH_TOKEN_PATH"], folder / "token")
    made = LocalCluster(folder)
    try:
        made.start([2])
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAY_TMPDIR", str(folder))
            with ray_session(made.address):
                yield made
    finally:
        made.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def drivers(tmp_path: Path, cluster: LocalCluster) -> Iterator[StudyDrivers]:
    """Yield drivers on the cluster, and end them."""
    ray = Path(os.environ["RAY_TMPDIR"])
    shell = Shell(folder=tmp_path, ray=ray, executor="ray", cluster=cluster.environment())
    # Two studies that create one database at the same moment would disturb each other.
    shell.root.mkdir()
    (shell.root / "optuna.db").write_bytes(empty_database())
    made = StudyDrivers(cluster=cluster, shell=shell)
    yield made
    for driver in made.drivers.values():
        if driver.poll() is None:
            driver.kill()
            driver.wait()
    for pid in shell.pids():
        os.kill(pid, signal.SIGKILL)
