from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from tests.trainables.builders import trial
from trainables import replica_mode as together_module
from trainables.attribution import Saliency
from trainables.methods import Challenger
from trainables.models import Vgg11
from trainables.replica_mode import (
    cached_decision,
    is_stacking_faster,
    measure_speedup,
    stacking_obstacle,
)
from trainables.replicas import start_replicas

CPU = torch.device("cpu")


def settings(**changes: object):
    return trial("challenger", model=Vgg11(width=1 / 32), **changes)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (settings(), None),
        (settings(seeds=(1,)), "there is one replica"),
        (
            replace(settings(), model=Vgg11(width=1 / 32, dropout=0.5)),
            "dropout draws from one generator for all replicas",
        ),
        (
            replace(settings(), method=Challenger(attribution=Saliency())),
            "attribution 'saliency' needs the layers of a single network",
        ),
    ],
)
def test_what_stands_in_the_way_is_named(config, reason, folders):
    model = start_replicas(replace(config, seeds=(1,)), folders, CPU)[0].state.model
    assert stacking_obstacle(config, model) == reason


def test_on_a_cpu_nothing_is_tried(folders, tmp_path, monkeypatch):
    config = settings()
    replicas = start_replicas(config, folders, CPU)
    monkeypatch.setattr(together_module, "measure_speedup", lambda *_: pytest.fail("tried"))
    data, states = [r.data for r in replicas], [r.state for r in replicas]
    assert not is_stacking_faster(config, data, states, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_trying_leaves_the_replicas_as_they_are(folders):
    config = settings()
    replicas = start_replicas(config, folders, CPU)
    before = [{k: v.clone() for k, v in r.state.model.state_dict().items()} for r in replicas]
    steps = []
    speedup = measure_speedup(
        config, [r.data for r in replicas], [r.state for r in replicas], lambda: steps.append(1)
    )
    assert speedup > 0
    # Eight rounds of three steps: two replicas sequentially, and both stacked.
    assert len(steps) == 8 * 3 * 3
    for replica, weights in zip(replicas, before, strict=True):
        assert replica.state.epoch == 0
        assert not replica.state.optimizer.state
        found = replica.state.model.state_dict()
        assert all(torch.equal(found[key], value) for key, value in weights.items())


@pytest.mark.parametrize(("speedup", "is_faster"), [(1.2, True), (0.9, False)])
@pytest.mark.parametrize("stored", [None, "", "null", "[1]", "[" * 100_000, '{"is_faster": 1}'])
def test_an_answer_is_found_once_and_again_if_its_file_is_damaged(
    stored, speedup, is_faster, tmp_path
):
    asked = []

    def measure() -> float:
        asked.append(1)
        return speedup

    file = tmp_path / "replica_mode" / "a.json"
    if stored is not None:
        file.parent.mkdir()
        file.write_text(stored)
    assert [cached_decision(file, measure) for _ in range(3)] == [is_faster] * 3
    assert len(asked) == 1
    assert json.loads(file.read_text()) == {"is_faster": is_faster, "speedup": speedup}


def test_too_little_memory_is_an_answer(tmp_path):
    def measure() -> float:
        raise torch.OutOfMemoryError("no")

    assert not cached_decision(tmp_path / "a.json", measure)
    assert json.loads((tmp_path / "a.json").read_text())["is_faster"] is False
