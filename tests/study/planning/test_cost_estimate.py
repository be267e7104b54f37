"""What a study trains, counted by hand, and its hours on a stated machine."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml

from study.config.study_spec import parse
from study.planning.cost_estimate import GPU_OPERATIONS_PER_S, GPU_STEP_S, estimate_cost
from study.planning.study_plan import presets_table
from study.records.errors import SpecError
from study.reproduction.reproduction_run import plan_presets

BASE = {"name": "base", "epochs": 7}
STUDY: dict[str, Any] = {
    "name": "t",
    "defaults": {
        "dataset": {"name": "digits", "train_per_class": 3},
        "model": {"name": "vgg11", "width": 0.0625},
        "training": {"epochs": 10, "batch_size": 20},
        "replicas": {"search": 2, "final": 5},
        "search": {"trials": 4, "space": {"split": 0.5}},
    },
    "arms": [
        {"method": "base"},
        {"method": {"name": "challenger", "top_k": 5}, "sensitivity": [{"over": "alpha"}]},
        {"method": "base_finetune", "training": {"start_from": BASE}},
        {"method": "random", "like": "challenger"},
        {"method": "fgsm", "training": {"start_from": BASE}},
    ],
    "resources": {"gpus": 1},
}


def cost(**changed: Any):  # noqa: ANN401 (YAML)
    return estimate_cost(parse(yaml.safe_dump({**STUDY, **changed}), "t.yaml"))


def test_trials_trainings_and_steps_are_those_that_a_study_makes():
    found = cost()
    # Searches of Challenger and FGSM; Challenger's sweep has seven values.
    searched, final = 2 * 4, 1 + 7 + 1 + 1 + 1
    assert found.trials == searched + final
    # One Base model per seed of FGSM, whose search has seeds of its own.
    assert found.trainings == 2 * searched + 5 * final + 7
    per_epoch = math.ceil(30 / 20)
    passes = 1 * 5 + 1.5 * (2 * 4 + 5 * 7) + 1 * 5 + 1 * 5
    fgsm = parse(yaml.safe_dump(STUDY), "t").arm("fgsm").method.passes * (2 * 4 + 5)
    assert found.steps == pytest.approx(per_epoch * (10 * (passes + fgsm) + 7 * 7))


def test_a_gpus_hours_are_its_operations_but_never_less_than_a_steps_launch():
    found = cost()
    assert found.device == "GPU"
    assert found.hours == pytest.approx(found.steps * GPU_STEP_S / 3600)
    defaults = {**STUDY["defaults"], "model": {"name": "vgg16", "width": 1.0}}
    defaults["dataset"] = {"name": "mnist", "val_size": 50_000}
    defaults["training"] = {"epochs": 1, "batch_size": 10_000}
    large = cost(defaults=defaults, arms=[{"method": "base"}])
    assert large.hours == pytest.approx(large.operations / GPU_OPERATIONS_PER_S / 3600)
    # VGG16 has 0.31·10⁹ multiplications and additions per image of 32 × 32, forwards.
    assert large.operations / (5 * 10_000 * 3 * 2) == pytest.approx(0.314e9, rel=0.02)


def test_on_a_cpu_a_step_is_timed():
    found = cost(resources={"gpus": 0})
    assert found.device == "CPU"
    assert found.hours > 0
    assert found.steps == cost().steps


def test_an_unknown_size_is_refused():
    from trainables.datasets import DATASETS

    class Unknown(DATASETS["digits"]):  # type: ignore[name-defined, misc]
        training_size = None

    spec = parse(yaml.safe_dump(STUDY), "t")
    object.__setattr__(spec.arms[0], "dataset", Unknown())
    with pytest.raises(SpecError, match="must have a stated number of training samples"):
        estimate_cost(spec)


def test_presets_are_planned_without_data():
    table = plan_presets(["table1", "benchmark"], "full")
    assert [row[0] for row in table.rows] == ["table1-full", "benchmark-full"]
    assert {row[-1] for row in table.rows} == {"GPU"}
    assert "20·10¹² operations per second" in table.note
    assert presets_table({}).rows == ()
