"""Every setting is a valid study, and its table compares Challenger with both controls."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from study.config.study_spec import parse
from tests.benchmarks.regimes import REGIMES, markdown_table, measure_regimes, regime_study


@pytest.mark.parametrize("name", REGIMES)
def test_a_setting_changes_what_it_names_in_all_arms(name: str) -> None:
    spec = parse(yaml.safe_dump(regime_study(name, replicas=20)), name)
    base, random, challenger = spec.arms
    assert random.like == challenger.name
    assert base.training == random.training == challenger.training
    assert base.model == random.model == challenger.model
    assert base.dataset == random.dataset == challenger.dataset
    changed = regime_study(name, replicas=20)["defaults"]
    for path, value in REGIMES[name].items():
        part = changed
        for key in path.split("."):
            part = part[key]
        assert part == value


def test_the_table_has_differences_to_base_and_to_random(tmp_path: Path) -> None:
    (result,) = measure_regimes(tmp_path, ["torch"], 2, lambda _: None, epochs=2)
    assert [arm.method for arm in result.arms] == ["base", "random", "challenger"]
    assert result.cpu_hours > 0
    _, _, line = markdown_table([result])
    assert len(re.findall(r"\[[+−]?[\d.]+, [+−]?[\d.]+\]", line)) == 6
