"""A study's plan: what its arms train, what a step takes, and what n seeds can show."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from study.cli.main import run
from study.config.study_spec import parse
from study.planning.cost_estimate import estimate_cost
from study.planning.step_cost import _LiveMemory, measure_memory, measure_seconds
from study.planning.study_plan import (
    Spread,
    arm_powers,
    measured_spreads,
    plan_table,
    power_table,
)
from study.records.errors import SpecError
from tests.support.simulated import study_file
from tests.support.trial_tables import constant_table
from tests.trainables.builders import trial
from trainables.methods import METHODS

SPEC = parse(yaml.safe_dump(study_file()), "t.yaml")


def test_live_memory_is_that_of_weights_gradients_optimizer_and_activations() -> None:
    network = nn.Sequential(nn.Linear(1000, 500, bias=False), nn.Linear(500, 10, bias=False))
    optimizer = torch.optim.Adam(network.parameters())
    inputs = torch.rand(64, 1000)
    with _LiveMemory() as memory:
        network(inputs).square().mean().backward()
        optimizer.step()
    weights = 4 * (1000 * 500 + 500 * 10)
    # Weights, gradients and two moments; the optimizer needs two more for a moment.
    assert 4 * weights <= memory.peak <= 6.5 * weights


@pytest.mark.parametrize("method", METHODS)
def test_a_step_of_every_method_is_measured_and_leaves_no_trace(method: str) -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    assert measure_seconds(trial(method), batch_size=8, n_threads=1) > 0
    few, many = (measure_memory(trial(method), size) for size in (32, 320))
    assert 100_000 < few < many < 10 * few
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_the_table_has_a_row_per_arm_and_their_sum() -> None:
    table = plan_table(SPEC, estimate_cost(SPEC))
    names = [row[0] for row in table.rows]
    assert names == [*(arm.name for arm in SPEC.arms), "All"]
    counted = [[int(cell.replace(",", "")) for cell in row[1:5]] for row in table.rows]
    assert counted[-1] == [sum(column) for column in zip(*counted[:-1], strict=True)]


def test_what_can_be_shown_follows_from_spread_n_and_family() -> None:
    stated = Spread(value=0.1, n=None, source="as given")
    known = Spread(value=0.05, n=5, source="from study 'pilot'")
    random, challenger = arm_powers(SPEC, {"challenger": known}, stated)
    assert (random.n, random.family, random.spread) == (2, 2, stated)
    assert challenger.spread == known
    # Cohen's table of the paired t test: n = 34 for half a standard deviation, 199 for a fifth.
    one = arm_powers(
        parse(yaml.safe_dump(study_file(arms=[{"method": "base"}, {"method": "random"}])), "t"),
        {},
        stated,
    )[0]
    assert [one.needed(share * 0.1) for share in (0.5, 0.2, 0.01)] == [34, 199, None]
    table = power_table("test/accuracy", [random, challenger], 0.05)
    assert table.columns[-1] == "n for 5.0"
    assert table.rows[1][1].startswith("5.0 [3.0, 14.4]")
    assert "as given, from study 'pilot'" in table.note


def test_spreads_are_those_of_the_paired_differences_of_a_study() -> None:
    table = constant_table(
        {
            "base": {0: (0.40, 0.42, 0.41)},
            "random": {0: (0.40, 0.42, 0.41)},
            "challenger": {5: (0.50, 0.56, 0.51)},
        }
    )
    found, largest = measured_spreads(table, "test/accuracy")
    # Differences of 10, 14 and 10 points; those of Random have no spread.
    assert found["challenger"].value == pytest.approx(0.04 / 3**0.5)
    assert largest == found["challenger"]
    assert "random" not in found
    with pytest.raises(SpecError, match="must have final trials of Base and another arm"):
        measured_spreads(constant_table({"base": {0: (0.4, 0.42)}}), "test/accuracy")


def test_the_command_plans_a_file_and_refuses_two_spreads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(study_file()))
    assert run(["plan", str(path), "--sd", "8", "--difference", "2"]) == 0
    out = capsys.readouterr().out
    assert "What study 'tiny' trains" in out
    assert "n for 2.0" in out
    assert list(tmp_path.iterdir()) == [path]
    assert run(["plan", str(path), "--sd", "8", "--from", "x"]) == 2
    assert run(["plan", str(path), "--difference", "2"]) == 2
    assert run(["plan", str(path), "--from", "x", "--storage", str(tmp_path)]) == 2
    assert "there is no study 'x'" in capsys.readouterr().err
