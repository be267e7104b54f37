"""Optuna's dashboard on a study's database: names, notes, and no study without trials."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from study.engine.coordinator import TrialCoordinator
from study.storage.trial_store import TrialStore
from tests.support.simulated import StudyFixture, simulate, study_text

pytestmark = [pytest.mark.service, pytest.mark.extended]

TIMEOUT_S = 120.0


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """Serve a finished study's database, and return what a path of the dashboard's API has."""
    place = StudyFixture.of(tmp_path, study_text(trials=2, epochs=1))
    place.folder.path.mkdir()
    store = TrialStore(
        place.storage.database_url, place.spec.name, maximize=True, metric=place.spec.metric
    )
    coordinator = TrialCoordinator(place.spec, place.folder, store, ())
    simulate(coordinator, place.context)
    coordinator.flush()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("optuna-dashboard")), "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--server", "wsgiref", place.storage.database_url],
            stdout=log,
            stderr=log,
            env={**os.environ, "HOME": str(tmp_path)},
        )

    def get(path: str) -> Any:  # noqa: ANN401 (JSON)
        end = time.monotonic() + TIMEOUT_S
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api{path}") as answer:
                    return json.load(answer)
            except (ConnectionError, urllib.error.URLError):
                assert time.monotonic() < end, (tmp_path / "log").read_text()
                time.sleep(0.2)

    yield get
    process.terminate()
    process.wait(TIMEOUT_S)


def test_every_study_has_trials_the_objective_s_name_and_a_note(shown: Callable[[str], Any]):
    studies = shown("/studies")["study_summaries"]
    names = {one["study_name"]: one["study_id"] for one in studies}
    assert set(names) == {
        "tiny/base/final",
        "tiny/random/search",
        "tiny/random/final",
        "tiny/challenger/search",
        "tiny/challenger/final",
    }
    for name, study_id in names.items():
        found = shown(f"/studies/{study_id}")
        assert found["trials"], name
        assert found["objective_names"] == ["val/accuracy"]
        is_search = name.endswith("/search")
        assert ("importances of its trials describe where it looked" in found["note"]["body"]) is (
            is_search
        )
        assert is_search or "nothing is chosen here" in found["note"]["body"]
