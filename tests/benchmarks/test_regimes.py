"""Every setting is a valid study, and its table compares Challenger with both controls."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import mean

import pytest
import yaml

from study.config.run_options import RunOptions
from study.config.study_spec import parse
from study.results.build import load_trial_table
from study.storage.layout import StorageRoot
from tests.benchmarks import widths
from tests.benchmarks.regimes import (
    REGIMES,
    Setting,
    markdown_table,
    measure_settings,
    regime,
)
from tests.benchmarks.widths import REPLICAS, width_settings

WIDTHS = [width for width in REPLICAS if width != "1"]
SETTINGS = [
    *(regime(name, replicas=20) for name in REGIMES),
    *(one for width in WIDTHS for one in width_settings(width, Path("unused"))),
]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_setting_changes_what_it_names_in_all_arms(setting: Setting) -> None:
    spec = parse(yaml.safe_dump(setting.study), setting.name)
    base, random, challenger = spec.arms
    assert random.like == challenger.name
    assert base.training == random.training == challenger.training
    assert base.model == random.model == challenger.model
    assert base.dataset == random.dataset == challenger.dataset
    for path, value in setting.changed.items():
        part = setting.study["defaults"]
        for key in path.split("."):
            part = part[key]
        assert part == value


def test_every_setting_has_a_name_of_its_own() -> None:
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)


def test_the_table_has_differences_and_the_full_width_takes_the_best_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = {"training.epochs": 2, "training.eval_every": 2, "model.width": 0.0625}
    monkeypatch.setattr(widths, "_RATES", (1e-5, 1e-2))
    monkeypatch.setattr(widths, "_INITIALIZATIONS", ("torch",))
    monkeypatch.setattr(widths, "_STRENGTHS", {"unit": 1.0})
    tried = [
        Setting(name=one.name, changed={**one.changed, **short}, replicas=2)
        for one in width_settings("1/2", tmp_path)
    ]
    results = list(measure_settings(tmp_path, tried, lambda _: None))
    for result, line in zip(results, markdown_table(results)[2:], strict=True):
        assert [arm.method for arm in result.arms] == ["base", "random", "challenger"]
        assert result.cpu_hours > 0
        assert len(re.findall(r"\[[+−]?[\d.]+, [+−]?[\d.]+\]", line)) == 6
    (full,) = width_settings("1", tmp_path)
    options = RunOptions(storage=StorageRoot(root=tmp_path), executor="inline")
    reached = {
        one.changed["training.optimizer.lr"]: mean(
            load_trial_table(one.name, options).chosen("challenger").last("val/accuracy")
        )
        for one in tried
    }
    assert full.changed["model.width"] == 1.0
    assert reached[full.changed["training.optimizer.lr"]] == max(reached.values())
