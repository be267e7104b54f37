"""``python -m tests.benchmarks step``, ``replicas`` and ``attributions``."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from tests.benchmarks import attributions
from tests.benchmarks import step as measured
from tests.benchmarks.__main__ import main
from tests.benchmarks.model_families import FAMILIES
from tests.benchmarks.step import StepOptions, clock_of, measure_steps, step_variants
from tests.benchmarks.torch_benchmark import machine_info
from trainables.errors import ConfigError
from trainables.methods import METHODS
from trainables.models import FcnWang, TextCnn, Vgg11, Vgg16

CPU = torch.device("cpu")
SMALL = ["step", "--family", "vgg11", "--batch-size", "8", "--method", "mixup", "--rounds", "1"]
REPLICAS = ["replicas", "--width", "0.03125", "--rounds", "1", "--batch-size", "8"]


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """Measure narrow models, one step at a time: how long it takes is not looked at."""
    models = {
        "fcn_wang": FcnWang(width=1 / 32),
        "text_cnn": TextCnn(width=1 / 32),
        "vgg11": Vgg11(width=1 / 32),
        "vgg16": Vgg16(width=1 / 32),
    }
    narrow = {
        name: measured.Family(model=models[name], dataset=family.dataset)
        for name, family in FAMILIES.items()
    }
    monkeypatch.setattr(measured, "FAMILIES", narrow)
    monkeypatch.setattr(measured, "_MIN_MEASURED_S", 0.0)


@pytest.mark.parametrize("family", ["fcn_wang", "text_cnn", "vgg11"])
def test_every_way_has_a_row_or_a_reason(family):
    libraries = {"challenger/captum_lrp", "challenger/zennit"}
    expected = {*METHODS, *libraries, "base/bfloat16", "challenger/bfloat16"}
    assert set(step_variants()) == expected - {"base", "base_finetune"}
    ways = tuple(step_variants())
    report = measure_steps(StepOptions(families=(family,), batch_sizes=(8,), ways=ways, rounds=1))
    found = [row.way for row in report.rows] + [one.way for one in report.left_out]
    assert sorted(found) == sorted(step_variants())
    for row in report.rows:
        assert row.ratio.median > 0
        assert row.above_limit == row.ratio.median / row.limit
    refused = {"cutmix", "random_erasing", "challenger/captum_lrp"}
    is_image = family.startswith("vgg")
    assert {one.way for one in report.left_out} == (set() if is_image else refused)


def test_a_row_knows_how_often_it_was_measured_and_its_limit():
    ways = ("challenger", "mixup")
    report = measure_steps(
        StepOptions(families=("vgg11",), batch_sizes=(8, 12), ways=ways, rounds=3)
    )
    assert [(row.batch_size, row.way) for row in report.rows] == [
        (8, "challenger"), (8, "mixup"), (12, "challenger"), (12, "mixup"),
    ]  # fmt: skip
    assert {row.ratio.rounds for row in report.rows} == {3}
    assert report.rows[1].limit == 1
    assert 1.3 < report.rows[0].limit < 1.4


def test_one_thread_is_measured_by_its_own_time_and_several_by_the_wall(monkeypatch):
    assert clock_of(CPU) == "cpu"
    assert clock_of(torch.device("cuda")) == "wall"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert clock_of(CPU) == "wall"


def test_a_table_names_the_machine_and_every_number_and_json_holds_the_same(capsys):
    main(SMALL)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(machine_info(CPU))
    assert lines[1] == "CPU time of a step by that of a plain step; medians of 1 rounds."
    assert lines[3].split() == [
        "family", "batch", "step", "ratio", "quartiles", "limit", "ratio/limit",
    ]  # fmt: skip
    assert lines[4].split()[:3] == ["vgg11", "8", "mixup"]
    main([*SMALL, "--json", "--threads", "1"])
    found = json.loads(capsys.readouterr().out)
    assert (found["machine"]["threads"], found["clock"], found["left_out"]) == (1, "cpu", [])
    (row,) = found["rows"]
    assert (row["family"], row["batch_size"], row["way"], row["limit"]) == ("vgg11", 8, "mixup", 1)


def test_each_method_and_number_of_replicas_has_a_row(capsys):
    chosen = ["--method", "base", "--method", "challenger", "--replicas", "2", "--replicas", "3"]
    main([*REPLICAS, *chosen])
    about, rows = (lines := capsys.readouterr().out.splitlines())[1], lines[4:]
    assert about.startswith("Tiny MNIST, VGG11 of width 0.03125, batches of 8: trials per hour ")
    assert [row.split()[:2] for row in rows] == [
        ["base", "2"], ["base", "3"], ["challenger", "2"], ["challenger", "3"],
    ]  # fmt: skip


def test_each_network_has_a_row_with_and_without_a_stabilizer(capsys, monkeypatch):
    small = {"gated": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(8, 6), nn.GLU()), (4, 8))}
    monkeypatch.setattr(attributions, "NETWORKS", small)
    main(["attributions", "--rounds", "2", "--json"])
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["network"], row["epsilon"]) for row in rows] == [("gated", 0.0), ("gated", 1e-6)]
    assert all(row["cost"]["rounds"] == 2 and row["cost"]["median"] > 0 for row in rows)
    main(["attributions", "--rounds", "1"])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[4:]] == ["gated"] * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([*SMALL, "--batch-size", "3"], "batch_size must be at least 4, of which 2 are challenge"),
        ([*REPLICAS, "--replicas", "1"], "replicas must be at least 2, got 1"),
        ([*REPLICAS, "--rounds", "0"], "rounds must be at least 1, got 0"),
        ([*REPLICAS, "--threads", "0"], "--threads must be at least 1, got 0."),
        ([*REPLICAS, "--device", "tpu"], "--device must be cpu or cuda, got 'tpu'."),
    ],
)
def test_an_option_out_of_range_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        main(options)
