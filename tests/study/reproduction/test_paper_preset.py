"""Presets of the papers, and their scales."""

from __future__ import annotations

import csv
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from study.config.run_options import RunOptions
from study.config.study_spec import StudySpec, parse
from study.records.errors import SpecError
from study.reproduction import at_scale, load_preset, preset_names
from study.reproduction.paper_preset import SCALES, Preset, differences
from study.reproduction.reproduction_run import run_reproduction
from study.sensitivity import metric_label
from study.storage.layout import StorageRoot

ALL = (
    "attributions",
    "benchmark",
    "figure1",
    "figure2",
    "figure3",
    "figure3_ptbxl",
    "figure4",
    "figure4_ptbxl",
    "reldrop",
    "reldrop_object",
    "table1",
    "table2",
    "table3",
    "table4",
    "transfer",
)


def study_of(name: str, scale: str) -> StudySpec:
    return parse(yaml.safe_dump(at_scale(load_preset(name), scale)), name)


def test_every_table_and_figure_of_the_papers_is_there():
    assert preset_names() == ALL


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ALL)
def test_it_is_a_study_at_every_scale_named_after_both(name, scale):
    spec = study_of(name, scale)
    assert spec.name == f"{name}-{scale}"
    assert any(arm.method.name == "base" for arm in spec.arms)
    assert any(arm.method.name == "challenger" for arm in spec.arms)
    assert (spec.resources.gpus == 0) == (scale != "full")


@pytest.mark.parametrize("name", ALL)
def test_a_smaller_scale_has_the_same_arms_and_less_of_everything(name):
    smoke, small, full = (study_of(name, scale) for scale in SCALES)
    names = [[arm.name for arm in spec.arms] for spec in (smoke, small, full)]
    assert names[0] == names[1] == names[2]
    for tiny, less, whole in zip(smoke.arms, small.arms, full.arms, strict=True):
        assert tiny.training.epochs <= less.training.epochs <= whole.training.epochs
        if hasattr(whole.model, "width"):
            assert tiny.model.width < less.model.width < whole.model.width == 1.0
        else:  # a stem that halves the grid takes a sixteenth of the operations
            assert tiny.model.stem == less.model.stem == "published" != whole.model.stem
        assert tiny.search_budget <= less.search_budget <= whole.search_budget
        assert 2 <= tiny.replicas.final <= less.replicas.final <= whole.replicas.final
        assert type(tiny.method) is type(whole.method)


@pytest.mark.parametrize("name", ALL)
def test_every_printed_number_has_its_arm_and_a_metric_that_is_known(name):
    preset = load_preset(name)
    arms = {arm.name for arm in study_of(name, "full").arms}
    for row in preset.paper:
        assert row.arm in arms
        assert metric_label(row.metric).name != row.metric
    assert preset.unknown.endswith(".")


@pytest.mark.parametrize("name", ALL)
def test_strengths_are_searched_in_the_inputs_own_unit_and_settings_are_stated(name):
    spec = study_of(name, "full")
    for arm in spec.arms:
        members = spec.groups.get(arm.group or "", (arm,))
        spread = min(one.dataset.info.spread for one in members)
        for key in {"alpha", "beta"} & set(arm.space.dimensions):
            found = arm.space.dimensions[key]
            assert (found.low, found.high) == pytest.approx((0.1 * spread, 2.0 * spread), rel=1e-3)
        if arm.dataset.info.domain == "image" and arm.model.name != "torchvision":
            assert arm.model.initialization == "torch"
    study = load_preset(name).study
    settings = [study["defaults"]["dataset"], *(arm.get("dataset", {}) for arm in study["arms"])]
    for dataset in settings:
        assert "normalization" in dataset or dataset.get("name") not in ("mnist", "cifar10")


@pytest.mark.parametrize("name", ALL)
def test_ecgs_are_searched_by_auc_and_fine_tuning_has_its_control(name):
    spec = study_of(name, "full")
    is_ecg = {arm.dataset.name == "ptbxl" for arm in spec.arms}
    assert is_ecg == {spec.metric == "val/auc"}
    for arm in spec.arms:
        if arm.method.name == "challenger" and arm.training.start_from.name == "base":
            methods = {
                one.method.name
                for one in spec.arms
                if (one.dataset, one.training) == (arm.dataset, arm.training)
            }
            control = "base_finetune" if arm.method.mixup is None else "mixup"
            assert control in methods


def test_table_4_compares_challenger_with_matched_random():
    arms = study_of("table4", "full").arms
    like = {arm.dataset.task: arm.like for arm in arms if arm.method.name == "random"}
    tasks = ("all", "diag", "sub-diag", "super-diag")
    assert like == {task: f"{task}-challenger" for task in tasks}


def test_the_papers_headline_numbers_are_the_printed_ones():
    found = {(row.row, row.metric): row.value for row in load_preset("table2").paper}
    assert found["tinyMNIST, Base", "test/accuracy"] == 46.99
    assert found["tinyMNIST, Ours", "test/accuracy"] == 71.06
    assert found["tiny20Newsgroups, Ours", "test/ece10"] == 0.313
    assert len(found) == 4 * 2 * 4
    found = {(row.row, row.metric): row.value for row in load_preset("table4").paper}
    assert found["MixUp & DO & WD (Ours), super-diag", "test/auc"] == 91.49
    assert len(found) == 16


def test_numbers_that_may_not_be_compared_say_why():
    for row in load_preset("table3").paper:
        is_text = row.arm.startswith(("reuters", "20news"))
        if row.metric == "test/nll" and is_text:
            assert "no mean per sample" in (row.note or "")
        if row.arm.startswith("reuters"):
            assert "ModApte" in (row.note or "")


def test_an_unknown_preset_is_refused_with_the_closest():
    with pytest.raises(SpecError) as caught:
        load_preset("tabel2")
    assert str(caught.value) == (
        "there is no preset 'tabel2' to reproduce; did you mean 'table2'?"
    )


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ALL)
def test_it_runs_at_smoke_from_start_to_mlflow(name, tmp_path: Path, challenger_data: Path):
    options = RunOptions(
        storage=StorageRoot(root=tmp_path), data_root=challenger_data, executor="inline"
    )
    preset = load_preset(name)
    console = Console(quiet=True, width=200)
    result, tables = run_reproduction(preset, at_scale(preset, "smoke"), "smoke", options, console)
    assert result.is_finished
    assert result.problems == ()
    assert result.pending.records == 0
    assert tables
    report = tmp_path / f"{name}-smoke" / "report"
    with (report / "reproduction.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rows = [row for row in rows if not row["against"]]
    assert [float(row["paper"]) for row in rows] == [row.value for row in preset.paper]
    assert all(row["ours"] and row["differs"] for row in rows)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        (parents,) = database.execute(
            "SELECT count(*) FROM tags WHERE key = 'kind' AND value = 'arm'"
        ).fetchone()
    assert parents == len(result.table.arms)


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


def test_unknown_keys_of_a_scale_and_unknown_scales_are_refused():
    with pytest.raises(SpecError) as caught:
        scaled(method={"alpha": 1})
    assert str(caught.value) == "t.yaml: scales.tiny.method is not a setting."
    preset = Preset(name="t", study=STUDY, scales={"small": {}}, paper=(), unknown=".")
    with pytest.raises(SpecError) as caught:
        at_scale(preset, "smal")
    assert str(caught.value) == "t has no scale 'smal'; did you mean 'small'?"


def test_every_deviation_has_both_values():
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
