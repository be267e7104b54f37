"""A component that exceeded Ray's timeout is started again, another is not."""

from __future__ import annotations

import dataclasses
import sys

import pytest

from cluster.errors import ClusterError
from cluster.process import StartupWait
from cluster.service import ServiceConfig, start
from cluster.service.component import base_environment
from cluster.service.components import COMPONENTS
from cluster.service.config import Service
from cluster.service.daemon import ProcessSpec
from cluster.service.folder import ServiceFolder
from cluster.service.ray_component import RAY
from cluster.session import STARTUP_TIMEOUT

# Prints a word and ends, for a number of times, and then stays.
_PROGRAM = """
import pathlib, sys, time
count = pathlib.Path(sys.argv[1])
tries = len(count.read_text()) if count.exists() else 0
count.write_text("x" * (tries + 1))
if tries < int(sys.argv[2]):
    print(sys.argv[3], flush=True)
    sys.exit(1)
count.with_name("ready").touch()
time.sleep(600)
"""


@pytest.fixture
def begin(monkeypatch, tmp_path):
    """Return a function that starts a service whose Ray fails to start some times."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", "sesame")
    count = tmp_path / "count"

    def begin(failures: int, word: str) -> list[str]:
        def prepare(service: Service) -> ProcessSpec:
            return ProcessSpec(
                command=[sys.executable, "-c", _PROGRAM, str(count), str(failures), word],
                environment=base_environment(service),
                folder=tmp_path,
                log=service.folder.log("ray"),
            )

        def health_error(_: Service) -> str | None:
            return None if (tmp_path / "ready").exists() else "no answer"

        ray = dataclasses.replace(
            RAY, prepare=prepare, health_error=health_error, ports=lambda _: ()
        )
        monkeypatch.setattr(start, "RAY", ray)
        monkeypatch.setattr(start, "enabled_components", lambda _: (ray,))
        folder = ServiceFolder(root=tmp_path / "service")
        config = ServiceConfig(
            storage=tmp_path, tracking_database=tmp_path / "m.db", artifacts=tmp_path / "artifacts"
        )
        said: list[str] = []
        started = start.start_service(folder, config, frozenset(), said.append)
        start.stop_component(ray, started.service)
        return said

    assert RAY in COMPONENTS
    begin.count = count
    return begin


def test_a_ray_that_exceeded_its_timeout_is_started_again(begin):
    said = begin(2, f"The current node {STARTUP_TIMEOUT}.")
    assert said.count("Ray took too long to start, starting it again") == 2
    assert len(begin.count.read_text()) == 3


def test_a_ray_that_is_always_too_slow_is_an_error_with_its_log(begin):
    with pytest.raises(ClusterError, match=STARTUP_TIMEOUT):
        begin(9, f"The current node {STARTUP_TIMEOUT}.")
    assert len(begin.count.read_text()) == 6


def test_a_ray_that_ends_for_another_reason_is_not_started_again(begin):
    with pytest.raises(ClusterError, match="no such option"):
        begin(9, "no such option")
    assert len(begin.count.read_text()) == 1


def test_a_retry_has_all_of_its_time(begin, monkeypatch):
    """The time of a try begins with it: two slow ones do not use up the third's."""
    started: list[float] = []

    class Wait(StartupWait):
        def __post_init__(self) -> None:
            super().__post_init__()
            started.append(self.timeout_s)

    monkeypatch.setattr(start, "StartupWait", Wait)
    begin(2, f"The current node {STARTUP_TIMEOUT}.")
    assert started.count(RAY.timeout_s) == 3


def test_a_server_that_never_answers_is_given_up_with_its_reason_and_its_log(begin, monkeypatch):
    monkeypatch.setattr(StartupWait, "is_over", lambda *_: True)
    with pytest.raises(
        ClusterError, match=r"Ray must answer at .*, but has not for 0 s: no answer"
    ):
        begin(0, "")
