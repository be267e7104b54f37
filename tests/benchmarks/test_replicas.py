"""``python -m tests.benchmarks replicas``."""

from __future__ import annotations

import json

import pytest
import torch

from tests.benchmarks.__main__ import main
from trainables.errors import ConfigError

QUICK = ["replicas", "--width", "0.03125", "--rounds", "1", "--batch-size", "8"]


def test_each_method_and_number_of_replicas_has_a_row(capsys):
    chosen = ["--method", "base", "--method", "challenger", "--replicas", "2", "--replicas", "3"]
    main([*QUICK, *chosen, "--json"])
    report = json.loads(capsys.readouterr().out)
    assert [(row["method"], row["replicas"]) for row in report["rows"]] == [
        ("base", 2),
        ("base", 3),
        ("challenger", 2),
        ("challenger", 3),
    ]
    assert all(row["gain"]["median"] > 0 < row["step_ms"]["median"] for row in report["rows"])
    assert report["machine"]["torch"] == torch.__version__


def test_the_table_names_machine_and_data(capsys):
    main([*QUICK, "--method", "base", "--replicas", "2"])
    machine, about, empty, header, row = capsys.readouterr().out.splitlines()
    assert f"torch {torch.__version__}" in machine
    assert about.startswith("Tiny MNIST, VGG11 of width 0.03125, batches of 8: trials per hour ")
    assert empty == ""
    assert header.split("  ")[0] == "method"
    assert row.split()[:2] == ["base", "2"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--replicas", "1"], "replicas must be at least 2, got 1"),
        (["--rounds", "0"], "rounds must be at least 1, got 0"),
        (["--threads", "0"], "--threads must be at least 1, got 0."),
        (["--device", "tpu"], "--device must be cpu or cuda, got 'tpu'."),
    ],
)
def test_an_option_out_of_range_is_refused(option, message):
    with pytest.raises(ConfigError, match=message):
        main([*QUICK, *option])
