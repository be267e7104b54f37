"""A part that was too slow for itself is started again, and one that is wrong is not."""

from __future__ import annotations

import dataclasses
import sys

import pytest

from cluster.errors import ClusterError
from cluster.service import Wish, starting
from cluster.service.begun import Launch
from cluster.service.folder import ServiceFolder
from cluster.service.part import surroundings
from cluster.service.parts import PARTS
from cluster.service.ray_part import RAY
from cluster.service.wish import Setting
from cluster.session import LATE

# Ends with a word on its log, so often as it is told, and then stays.
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
    """Give a function that starts a service whose Ray is a process with some failed starts."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", "sesame")
    count = tmp_path / "count"

    def begin(failures: int, word: str) -> list[str]:
        def launch(setting: Setting) -> Launch:
            return Launch(
                command=[sys.executable, "-c", _PROGRAM, str(count), str(failures), word],
                environment=surroundings(setting),
                folder=tmp_path,
                log=setting.folder.log("ray"),
            )

        def refusal(_: Setting) -> str | None:
            return None if (tmp_path / "ready").exists() else "no answer"

        ray = dataclasses.replace(RAY, launch=launch, refusal=refusal, ports=lambda _: ())
        monkeypatch.setattr(starting, "RAY", ray)
        monkeypatch.setattr(starting, "wanted_parts", lambda _: (ray,))
        folder = ServiceFolder(root=tmp_path / "service")
        wish = Wish(
            storage=tmp_path, tracking_database=tmp_path / "m.db", artifacts=tmp_path / "artifacts"
        )
        said: list[str] = []
        started = starting.start_service(folder, wish, frozenset(), said.append)
        starting.end_part(ray, started.setting)
        return said

    assert RAY in PARTS
    begin.count = count
    return begin


def test_a_ray_that_was_too_slow_for_itself_is_started_once_more(begin):
    said = begin(2, f"The current node {LATE}.")
    assert said.count("Ray took too long to start, once more") == 2
    assert len(begin.count.read_text()) == 3


def test_a_ray_that_is_always_too_slow_is_given_up_with_what_it_said(begin):
    with pytest.raises(ClusterError, match=LATE):
        begin(9, f"The current node {LATE}.")
    assert len(begin.count.read_text()) == 3


def test_a_ray_that_ends_for_another_reason_is_not_started_again(begin):
    with pytest.raises(ClusterError, match="no such option"):
        begin(9, "no such option")
    assert len(begin.count.read_text()) == 1
