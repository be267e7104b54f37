"""Slot utilization is measured on real trials of a real study, which sleep."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.scaling import ScalingConfig, measure_scaling


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("at_once", [False, True])
def test_slot_utilization_is_at_most_one(tmp_path: Path, ray_address: str, at_once: bool) -> None:
    config = ScalingConfig(slots=(1, 2), trial_s=(1,), rounds=2, at_once=at_once)
    usages = list(measure_scaling(tmp_path, config, ray_address, lambda _: None))
    assert [(each.slots, each.trials, each.ideal_seconds) for each in usages] == [
        (1, 2, 2),
        (2, 4, 2),
    ]
    assert all(0 < each.efficiency <= 1 for each in usages)
