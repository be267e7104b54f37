"""A growing cluster is used by real trials of a real study, which only sleep."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from study.bench.scaling import Wish, measure_scaling
from study.bench.sleeping_trial import go_file, results

CONFIG = {
    "trial": {
        "training": {"epochs": 4, "eval_every": 2},
        "method": {"alpha": 0.6},
        "seeds": [0, 1],
    },
    "objective": "val/accuracy",
}


def test_a_sleeping_trial_says_epoch_0_and_waits_until_all_others_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    stop_file = tmp_path / "stop"

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        go_file(stop_file).touch()

    monkeypatch.setattr("time.sleep", sleep)
    said = list(results({**CONFIG, "stop_file": str(stop_file)}))
    assert [(each["epoch"], each["done"]) for each in said] == [(0, False), (2, False), (4, True)]
    assert [json.loads(each["metrics"]) for each in said] == [
        {},
        {"val/accuracy": [0.9, 0.9]},
        {"val/accuracy": [0.9, 0.9]},
    ]
    # Once before the gate, and then for two epochs at a time.
    assert slept == [0.02, 0.5, 0.5]


@pytest.mark.ray
@pytest.mark.slow
def test_places_are_used_for_no_more_than_all_of_their_time(
    tmp_path: Path, ray_address: str
) -> None:
    wish = Wish(slots=(1, 2), trial_s=(1,), rounds=2)
    usages = list(measure_scaling(tmp_path, wish, ray_address, lambda _: None))
    assert [(each.slots, each.trials, each.ideal_s) for each in usages] == [(1, 2, 2), (2, 4, 2)]
    assert all(0 < each.efficiency <= 1 for each in usages)
