"""What a step of the Tune trainable says, without Ray's own bookkeeping."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.trainables.builders import trial
from trainables.decoding import encode
from trainables.ray_trainable import ChallengerTrainable


@pytest.fixture
def config(tmp_path: Path, folders) -> dict[str, Any]:
    (tmp_path / "trial").mkdir()
    return {
        "key": "a/search/0",
        "trial": encode(trial()),
        "folder": str(tmp_path / "trial"),
        "data_root": None,
        "plugins": None,
        "cache": str(folders.cache),
        "cpus": 1,
        "gpus": 0.0,
        "objective": "val/accuracy",
        "stop_file": str(tmp_path / "stop"),
        "timeout_s": None,
        "replica_mode": "auto",
        "keep_weights": False,
    }


def trainable(config: dict[str, Any]) -> ChallengerTrainable:
    """Make one as Ray does."""
    made = ChallengerTrainable.__new__(ChallengerTrainable)
    made.setup(config)
    return made


def test_a_trial_ends_with_its_last_report(config) -> None:
    made = trainable(config)
    steps = [made.step()]
    while not steps[-1]["done"]:
        steps.append(made.step())
    assert [step["epoch"] for step in steps] == [0, 2, 4, 5]
    assert "objective" in steps[-1]


def test_a_stop_a_failure_and_a_folder_that_is_gone_are_told_apart(config) -> None:
    Path(config["stop_file"]).touch()
    assert trainable(config).step() == {"epoch": -1, "stopped": True, "done": True}
    gone = {**config, "stop_file": None, "folder": config["folder"] + "/gone"}
    said = trainable(gone).step()
    assert set(said) == {"epoch", "storage", "done"}
    assert "No such file or directory" in said["storage"]
    late = trainable({**config, "stop_file": None, "timeout_s": 1e-9}).step()
    assert "resources.timeout_s" in late["failure"]


def test_a_trial_that_waits_for_its_driver_does_not_lose_its_time(config) -> None:
    made = trainable({**config, "timeout_s": 300.0})
    assert made.step()["epoch"] == 0
    left_s = made._watchdog._remaining_s
    time.sleep(0.5)
    before = time.monotonic()
    assert made.step()["epoch"] == 2
    assert left_s - made._watchdog._remaining_s <= time.monotonic() - before
    made.cleanup()
    assert not (Path(config["folder"]) / "hang.txt").exists()
