"""A disk that is full in any phase of a study: one message, all or nothing, and it goes on."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from study.cli import main
from study.config.run_options import RunOptions
from study.results.build import load_trial_table
from study.storage.layout import StorageRoot
from tests.support.disk import Disk, mount
from tests.support.simulated import study_text

pytestmark = pytest.mark.extended

STUDY = study_text(
    epochs=2,
    arms=[{"method": "base"}, {"method": "challenger"}],
    resources={"keep_models": "chosen"},
)
# Phase to the function before whose first call the disk is filled, in the module that calls it.
PHASES = {
    "a dataset is decoded": "trainables.datasets.digits:_decode",
    "a trial begins": "study.engine.coordinator:begin_trial",
    "a checkpoint is written": "trainables.trial:checkpoint.write",
    "a report is appended": "study.engine.coordinator:append_report",
    "a trial ends": "study.engine.coordinator:write_outcome",
    "attribution maps are stored": "trainables.trial:save_attribution_maps",
    "weights are kept": "trainables.trial:save_weights",
    "the report is written": "study.report.report_files:write_atomic",
}

QUICK = ("a dataset is decoded", "weights are kept", "the report is written")


def results(storage: Path) -> dict[str, Any]:
    table = load_trial_table("tiny", RunOptions(storage=StorageRoot(root=storage)))
    return {
        f"{row.arm}/{row.phase}/{row.number}": (
            row.state,
            row.params,
            [(report.epoch, report.metrics) for report in row.reports],
        )
        for row in table.rows
    }


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "tiny.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, study: Path) -> dict[str, Any]:
    """Return the results of a study on a disk with room."""
    storage = tmp_path_factory.mktemp("whole")
    assert main.run(["run", str(study), "--executor", "inline", "--storage", str(storage)]) == 0
    return results(storage)


def fill_before(disk: Disk, phase: str, patch: pytest.MonkeyPatch) -> list[str]:
    """Fill the disk at the first call of a phase's function; returns a list that then has it."""
    module, _, name = PHASES[phase].partition(":")
    owner: Any = importlib.import_module(module)
    *outer, last = name.split(".")
    for part in outer:
        owner = getattr(owner, part)
    original: Callable[..., Any] = getattr(owner, last)
    reached: list[str] = []

    def filled(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (whatever it takes)
        if not reached:
            reached.append(phase)
            disk.fill()
        return original(*args, **kwargs)

    patch.setattr(owner, last, filled)
    return reached


@pytest.mark.parametrize(
    "phase",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in PHASES],
)
def test_a_disk_that_is_full_pauses_a_study_which_then_has_the_same_results(
    phase: str,
    study: Path,
    expected: dict[str, Any],
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mount("-o", "remount,size=200m", disk.path)
    storage = disk.path / "studies"
    command = ["run", str(study), "--executor", "inline", "--storage", str(storage)]
    capsys.readouterr()
    with monkeypatch.context() as patch:
        reached = fill_before(disk, phase, patch)
        assert main.run(command) == 2
    assert reached == [phase]
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("Error: ")
    assert "No space left on device" in error or "disk is full" in error
    assert "Traceback" not in error
    # What may be left is whole: it is shown, or was never there.
    assert main.run(["status", "tiny", "--storage", str(storage)]) in (0, 2)
    disk.repair()
    assert main.run(command) == 0
    assert results(storage) == expected
    hidden = [path.name for path in storage.rglob(".*") if not path.name.endswith(".lock")]
    assert hidden == []
