from __future__ import annotations

import json

import pytest
import torch

from tests.benchmarks import step as measured
from tests.benchmarks.__main__ import main
from tests.benchmarks.model_families import FAMILIES
from tests.benchmarks.step import StepOptions, clock_of, measure_steps, step_variants
from tests.benchmarks.torch_benchmark import machine_info
from trainables.errors import ConfigError
from trainables.methods import METHODS
from trainables.models import FcnWang, TextCnn, Vgg11, Vgg16

CPU = torch.device("cpu")


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


def options(**changes: object) -> StepOptions:
    plain = {"families": ("vgg11",), "batch_sizes": (8,), "ways": ("challenger",), "rounds": 1}
    return StepOptions(**{**plain, **changes})


def test_every_method_but_the_plain_ones_both_libraries_and_mixed_precision_are_known_ways():
    libraries = {"challenger/captum_lrp", "challenger/zennit"}
    expected = {*METHODS, *libraries, "base/bfloat16", "challenger/bfloat16"}
    assert set(step_variants()) == expected - {"base", "base_finetune"}


@pytest.mark.parametrize("family", ["fcn_wang", "text_cnn", "vgg11"])
def test_every_way_has_a_row_or_a_reason(family):
    report = measure_steps(options(families=(family,), ways=tuple(step_variants())))
    found = [row.way for row in report.rows] + [one.way for one in report.left_out]
    assert sorted(found) == sorted(step_variants())
    assert {row.family for row in report.rows} == {family}
    for row in report.rows:
        assert row.ratio.median > 0
        assert row.above_limit == row.ratio.median / row.limit
    refused = {"cutmix", "random_erasing", "challenger/captum_lrp"}
    is_image = family.startswith("vgg")
    assert {one.way for one in report.left_out} == (set() if is_image else refused)


def test_a_row_knows_how_often_it_was_measured_and_its_limit():
    report = measure_steps(options(rounds=3, batch_sizes=(8, 12), ways=("challenger", "mixup")))
    assert [(row.batch_size, row.way) for row in report.rows] == [
        (8, "challenger"), (8, "mixup"), (12, "challenger"), (12, "mixup"),
    ]  # fmt: skip
    assert {row.ratio.rounds for row in report.rows} == {3}
    assert report.rows[1].limit == 1
    assert 1.3 < report.rows[0].limit < 1.4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"batch_sizes": (3,)},
            "batch_size must be at least 4, of which 2 are challenged, got 3.",
        ),
        ({"rounds": 0}, "rounds must be at least 1, got 0."),
    ],
)
def test_options_out_of_range_are_refused(changes, message):
    with pytest.raises(ConfigError) as caught:
        options(**changes)
    assert str(caught.value) == message


def test_one_thread_is_measured_by_its_own_time_and_several_by_the_wall(monkeypatch):
    assert clock_of(CPU) == "cpu"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert clock_of(CPU) == "wall"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert clock_of(torch.device("cuda")) == "wall"


SMALL = ["step", "--family", "vgg11", "--batch-size", "8", "--method", "mixup", "--rounds", "1"]


def test_a_table_names_the_machine_and_every_number(capsys):
    main([*SMALL, "--method", "challenger"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(machine_info(CPU))
    assert lines[1] == ("CPU time of a step by that of a plain step; medians of 1 rounds.")
    assert lines[3].split() == [
        "family", "batch", "step", "ratio", "quartiles", "limit", "ratio/limit",
    ]  # fmt: skip
    assert [line.split()[:3] for line in lines[4:]] == [
        ["vgg11", "8", "mixup"], ["vgg11", "8", "challenger"],
    ]  # fmt: skip
    assert lines[4].split()[5] == "1.000"


def test_json_holds_the_same(capsys):
    main([*SMALL, "--json", "--threads", "1"])
    said = capsys.readouterr()
    assert said.err == "vgg11, batches of 8: 1 ways in 1 rounds\n"
    found = json.loads(said.out)
    assert found["machine"]["threads"] == 1
    assert found["clock"] == "cpu"
    assert found["left_out"] == []
    (row,) = found["rows"]
    assert (row["family"], row["batch_size"], row["way"], row["limit"]) == ("vgg11", 8, "mixup", 1)
    assert set(row["ratio"]) == {"median", "low", "high", "rounds"}
