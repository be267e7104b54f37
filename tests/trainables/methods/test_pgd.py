from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tests.oracles import attacks as oracle
from tests.trainables.methods.small_network import (
    batch,
    counted,
    generator,
    multi_labels,
    network,
    seeded,
    twin,
)
from trainables.batch import Batch
from trainables.datasets import Digits
from trainables.methods import Fgsm, Pgd

METHODS = {
    "default": Pgd(budget=0.3),
    "from the sample": Pgd(budget=0.3, start="sample", steps=3),
    "long steps": Pgd(budget=0.3, step_size=1.5, steps=4),
    "within bounds": Pgd(budget=0.3, steps=3, clip=(-0.75, 0.8)),
    "all of the batch": Pgd(budget=1.0, steps=2, split=1.0),
}


@pytest.mark.parametrize("is_multi_label", [False, True])
@pytest.mark.parametrize("name", METHODS)
def test_it_climbs_as_the_slow_twin_does(name, is_multi_label):
    method, model = METHODS[name], network()
    inputs, labels = batch()
    labels = multi_labels() if is_multi_label else labels
    changed = method.perturb(model, Batch(inputs=inputs, targets=labels), seeded(3)).inputs
    layers, count = twin(model), int(11 * method.split)
    low, high = method.clip or (-math.inf, math.inf)
    starts = inputs[:count]
    if method.start == "random":
        draws = torch.rand(count, 2, 6, 6, generator=generator(3), dtype=torch.float64)
        starts = starts + (2 * draws - 1) * method.budget
    for i in range(count):
        center = tuple(inputs[i].flatten().tolist())
        ball = oracle.Ball(center=center, radius=method.budget, low=low, high=high)
        step = method.step_size * method.budget
        start, label = starts[i].flatten().tolist(), labels[i].tolist()
        expected = oracle.pgd(layers, start, label, ball, step, method.steps)
        assert changed[i].flatten().tolist() == pytest.approx(expected, abs=1e-12)
    assert torch.equal(changed[count:], inputs[count:])


def test_one_whole_step_from_the_sample_is_fgsm():
    inputs, targets = batch()
    model = network()
    one = Pgd(budget=0.3, steps=1, step_size=1.0, start="sample")
    found = one.perturb(model, Batch(inputs=inputs, targets=targets), seeded()).inputs
    expected = (
        Fgsm(budget=0.3).perturb(model, Batch(inputs=inputs, targets=targets), seeded()).inputs
    )
    assert (found - expected).abs().max() < 1e-15


def test_it_stays_within_the_budget_and_goes_higher_than_fgsm():
    model = network()
    inputs, targets = batch(200)
    pgd = (
        Pgd(budget=1.0, split=1.0)
        .perturb(model, Batch(inputs=inputs, targets=targets), seeded())
        .inputs
    )
    fgsm = (
        Fgsm(budget=1.0, split=1.0)
        .perturb(model, Batch(inputs=inputs, targets=targets), seeded())
        .inputs
    )
    assert (pgd - inputs).abs().max() < 1 + 1e-12
    loss = nn.functional.cross_entropy
    assert loss(model(pgd), targets) > loss(model(fgsm), targets)


def test_the_start_is_drawn_from_the_whole_ball_by_the_generator_alone():
    inputs, targets = torch.zeros(400, 1, 10), torch.zeros(400, dtype=torch.long)
    # Without a gradient the start is where it ends.
    model = nn.Sequential(nn.Flatten(), nn.Linear(10, 2))
    nn.init.zeros_(model[1].weight)
    state = torch.get_rng_state()
    method = Pgd(budget=2.0, split=1.0)
    starts = method.perturb(model, Batch(inputs=inputs, targets=targets), seeded(1)).inputs
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(
        starts, method.perturb(model, Batch(inputs=inputs, targets=targets), seeded(1)).inputs
    )
    assert not torch.equal(
        starts, method.perturb(model, Batch(inputs=inputs, targets=targets), seeded(2)).inputs
    )
    # Uniform on [-2, 2]: its variance is 4/3, the mean of 4000 draws 0 ± 0.018.
    assert starts.abs().max() <= 2
    assert abs(float(starts.mean())) < 0.1
    assert float(starts.var()) == pytest.approx(4 / 3, rel=0.05)


@pytest.mark.parametrize("shape", [(7,), (5, 7), (3, 4, 5, 2)])
def test_inputs_of_any_shape_are_attacked(shape):
    inputs = torch.randn(4, *shape)
    model = nn.Sequential(nn.Flatten(), nn.Linear(inputs[0].numel(), 3))
    changed = (
        Pgd()
        .perturb(model, Batch(inputs=inputs, targets=torch.tensor([0, 1, 2, 0])), seeded())
        .inputs
    )
    assert (changed[:2] != inputs[:2]).any()
    assert torch.equal(changed[2:], inputs[2:])


def test_it_costs_as_many_passes_as_steps_over_the_attacked(monkeypatch):
    model = network()
    inputs, targets = batch()
    passes = counted(model, monkeypatch)
    Pgd(steps=4).perturb(model, Batch(inputs=inputs, targets=targets), seeded())
    assert passes.forward == [5] * 4
    assert passes.backward == [True] * 4
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_batch_too_small_for_its_share_is_left_alone_without_a_pass(monkeypatch):
    model = network()
    inputs, targets = batch(1)
    passes = counted(model, monkeypatch)
    assert Pgd().perturb(model, Batch(inputs=inputs, targets=targets), seeded()).inputs is inputs
    assert passes.forward == []


def test_settings_at_the_border_of_their_range_are_accepted():
    Pgd(budget=0.0, steps=1, split=1.0).check(Digits().info)
