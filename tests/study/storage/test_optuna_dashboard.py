"""Optuna's dashboard on a study's database, as the quickstart starts it."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.simulated import StudyFixture, simulate, study_text

pytestmark = pytest.mark.service

QUICKSTART = Path(__file__).resolve().parents[3] / "docs" / "quickstart.md"
ARMS = [
    {"method": "challenger"},
    {"method": "challenger", "name": "global", "search": {"design": "sobol", "trials": 16}},
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> StudyFixture:
    """Simulate a study of TPE's trials and a design's."""
    root = tmp_path_factory.mktemp("storage") / "challenger-studies"
    place = StudyFixture.of(root, study_text(arms=ARMS, trials=6, epochs=2))
    simulate(place.coordinator(), place.context)
    return place


def quickstart_arguments() -> list[str]:
    """Return the arguments that the quickstart gives after ``uv run --with optuna-dashboard``."""
    line = re.search(r"^uv run --with optuna-dashboard (.+)$", QUICKSTART.read_text("utf-8"), re.M)
    assert line is not None
    return line[1].split()


@pytest.fixture(scope="module")
def dashboard(place: StudyFixture) -> Iterator[str]:
    """Start the dashboard where the studies' folder stands, and give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program, *arguments = quickstart_arguments()
    # The program stands beside this interpreter.
    found = shutil.which(program, path=str(Path(sys.executable).parent))
    assert found is not None
    command = [found, *arguments, "--host", "127.0.0.1", "--port", str(port)]
    log = place.root / "dashboard.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=place.root.parent, stdout=out, stderr=out)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(address, process, log)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text("utf-8")
        try:
            urllib.request.urlopen(f"{address}/api/meta", timeout=5).close()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"no answer: {log.read_text('utf-8')}")


def get(address: str, path: str) -> Any:  # noqa: ANN401 (JSON)
    with urllib.request.urlopen(f"{address}/api/{path}", timeout=120) as answer:
        assert answer.status == 200
        return json.load(answer)


def study_ids(address: str) -> dict[str, int]:
    listed = get(address, "studies")["study_summaries"]
    return {study["study_name"]: study["study_id"] for study in listed}


def test_it_lists_the_search_and_the_final_trials_of_each_arm(dashboard: str) -> None:
    assert set(study_ids(dashboard)) == {
        f"tiny/{arm}/{phase}" for arm in ("challenger", "global") for phase in ("search", "final")
    }


@pytest.mark.parametrize(("arm", "count"), [("challenger", 6), ("global", 16)])
def test_it_shows_the_trials_with_their_points_and_values(
    dashboard: str, place: StudyFixture, arm: str, count: int
) -> None:
    study = get(dashboard, f"studies/{study_ids(dashboard)[f'tiny/{arm}/search']}")
    records = place.store().records(arm, "search")
    assert [trial["state"] for trial in study["trials"]] == ["Complete"] * count
    for trial, record in zip(study["trials"], records, strict=True):
        shown = {p["name"]: p["param_external_value"] for p in trial["params"]}
        assert shown == {name: str(value) for name, value in record.params.items()}
        assert trial["values"] == [record.value]
        assert [step["step"] for step in trial["intermediate_values"]] == [1, 2]


@pytest.mark.parametrize("arm", ["challenger", "global"])
def test_it_computes_importances_of_the_arms_dimensions(
    dashboard: str, place: StudyFixture, arm: str
) -> None:
    number = study_ids(dashboard)[f"tiny/{arm}/search"]
    (found,) = get(dashboard, f"studies/{number}/param_importances")["param_importances"]
    assert {one["name"] for one in found} == set(place.spec.arm(arm).space.dimensions)
    assert sum(one["importance"] for one in found) == pytest.approx(1, abs=1e-6)
