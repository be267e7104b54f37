from __future__ import annotations

from typing import Any

import pytest
import yaml

from study.errors import SpecError
from study.reproduction import Preset, at_scale, differences
from study.spec import parse

STUDY: dict[str, Any] = {
    "name": "t",
    "defaults": {
        "dataset": {"name": "digits", "val_size": 200},
        "model": "vgg11",
        "training": {"epochs": 50, "start_from": "scratch"},
        "search": {"trials": 9},
    },
    "arms": [
        {"method": "base", "training": {"epochs": 80}},
        {
            "method": "challenger",
            "training": {"start_from": {"name": "base", "epochs": 30}},
            "sensitivity": [{"over": "top_k", "values": [1, 2, 3]}, {"over": "alpha"}],
        },
        {"method": "base", "name": "b2", "dataset": "mnist"},
        {
            "method": "random",
            "datasets": ["digits", {"dataset": "mnist", "training": {"epochs": 60}}],
        },
    ],
    "resources": {"gpus": 0.5},
}


def scaled(**patch: Any) -> dict[str, Any]:  # noqa: ANN401 (YAML)
    preset = Preset(name="t", study=STUDY, scales={"tiny": patch}, paper=(), unknown=".")
    return at_scale(preset, "tiny")


def test_the_full_scale_is_the_preset_under_its_own_name():
    preset = Preset(name="t", study=STUDY, scales={}, paper=(), unknown=".")
    assert at_scale(preset, "full") == {**STUDY, "name": "t-full"}


def test_values_that_are_spelled_out_are_replaced_and_no_other():
    found = scaled(training={"epochs": 2, "batch_size": 7, "start_from": {"epochs": 3}})
    assert found["defaults"]["training"] == {"epochs": 2, "start_from": "scratch"}
    assert found["arms"][0]["training"] == {"epochs": 2}
    assert found["arms"][1]["training"] == {"start_from": {"name": "base", "epochs": 3}}
    assert found["arms"][3]["datasets"][1]["training"] == {"epochs": 2}
    assert found["defaults"]["search"] == {"trials": 9}
    assert found["name"] == "t-tiny"


def test_datasets_and_models_are_changed_wherever_they_occur():
    found = scaled(
        datasets={"mnist": {"train_size": 5}, "digits": {"val_size": 10}},
        models={"vgg11": {"width": 0.5}},
    )
    assert found["defaults"]["dataset"] == {"name": "digits", "val_size": 10}
    assert found["defaults"]["model"] == {"name": "vgg11", "width": 0.5}
    assert found["arms"][2]["dataset"] == {"name": "mnist", "train_size": 5}
    first, second = found["arms"][3]["datasets"]
    assert first == {"name": "digits", "val_size": 10}
    assert second["dataset"] == {"name": "mnist", "train_size": 5}


def test_sweeps_resources_and_arms_by_name():
    found = scaled(
        sweeps={"top_k": [1, 5]}, resources={"gpus": 0}, arms={"b2": {"training": {"epochs": 4}}}
    )
    assert found["arms"][1]["sensitivity"] == [
        {"over": "top_k", "values": [1, 5]},
        {"over": "alpha"},
    ]
    assert found["resources"] == {"gpus": 0}
    assert found["arms"][2]["training"] == {"epochs": 4}
    assert STUDY["resources"] == {"gpus": 0.5}


def test_what_a_scale_may_not_name_and_a_scale_that_there_is_not():
    with pytest.raises(SpecError) as caught:
        scaled(method={"alpha": 1})
    assert str(caught.value) == "t.yaml: scales.tiny.method is not a setting."
    preset = Preset(name="t", study=STUDY, scales={"small": {}}, paper=(), unknown=".")
    with pytest.raises(SpecError) as caught:
        at_scale(preset, "smal")
    assert str(caught.value) == "t has no scale 'smal'; did you mean 'small'?"


def test_every_setting_that_differs_is_said_with_both_values():
    arms = {"arms": [{"method": "base"}, {"method": "challenger"}]}
    full = {**STUDY, **arms}
    ours = {
        **full,
        "defaults": {
            **full["defaults"],
            "dataset": {"name": "digits", "train_size": 40, "train_per_class": None},
            "model": {"name": "vgg11", "width": 0.25},
            "replicas": {"final": 3},
        },
    }
    specs = [parse(yaml.safe_dump(one), "t") for one in (full, ours)]
    assert differences(*specs, "challenger") == (
        "dataset.train_per_class 3 → all",
        "dataset.train_size all → 40",
        "model.width 1 → 0.25",
        "replicas.final 10 → 3",
    )
    assert differences(specs[0], specs[0], "base") == ()
