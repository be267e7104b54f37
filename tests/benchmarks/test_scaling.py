"""A growing cluster is used by real trials of a real study, which only sleep."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks.scaling import ScalingConfig, measure_scaling
from tests.benchmarks.sleeping_trainable import open_gate, results

CONFIG = {
    "trial": {
        "training": {"epochs": 4, "eval_every": 2},
        "method": {"alpha": 0.6},
        "seeds": [0, 1],
    },
    "objective": "val/accuracy",
    "key": "challenger/search/7",
}


def test_a_sleeping_trial_says_epoch_0_and_waits_until_all_others_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    stop_file = tmp_path / "stop"

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 1:
            open_gate(stop_file, {7: 1.5})

    monkeypatch.setattr("time.sleep", sleep)
    config = {**CONFIG, "stop_file": str(stop_file)}
    said = list(results(config, is_first=True))
    assert [(each["epoch"], each["done"]) for each in said] == [(0, False), (2, False), (4, True)]
    assert [json.loads(each["metrics"]) for each in said] == [
        {},
        {"val/accuracy": [0.9, 0.9]},
        {"val/accuracy": [0.9, 0.9]},
    ]
    # Once before the gate, for its own delay, and then for two epochs at a time.
    assert slept == [0.02, 1.5, 0.5, 0.5]
    assert list(results({**config, "stop_file": "/nowhere"}, is_first=False)) == said
    assert slept[4:] == [0.5, 0.5]


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("at_once", [False, True])
def test_slot_utilization_is_at_most_one(tmp_path: Path, ray_address: str, at_once: bool) -> None:
    wish = ScalingConfig(slots=(1, 2), trial_s=(1,), rounds=2, at_once=at_once)
    usages = list(measure_scaling(tmp_path, wish, ray_address, lambda _: None))
    assert [(each.slots, each.trials, each.ideal_s) for each in usages] == [(1, 2, 2), (2, 4, 2)]
    assert all(0 < each.efficiency <= 1 for each in usages)
