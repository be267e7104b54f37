from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.oracles import attacks as oracle
from tests.trainables.builders import Flat, conv_inputs, conv_net
from tests.trainables.methods.small_network import (
    batch,
    counted,
    multi_labels,
    network,
    seeded,
    twin,
)
from trainables.batch import Batch
from trainables.datasets import Digits
from trainables.methods import Fgsm


@pytest.mark.parametrize("split", [0.5, 1.0])
@pytest.mark.parametrize("is_multi_label", [False, True])
def test_it_is_the_sign_of_the_loss_gradient_of_the_slow_twin(split, is_multi_label):
    model = network()
    inputs, labels = batch()
    labels = multi_labels() if is_multi_label else labels
    changed = Fgsm(budget=0.3, split=split).perturb(
        model, Batch(inputs=inputs, targets=labels), seeded()
    )
    layers, count = twin(model), int(11 * split)
    samples = zip(inputs[:count].flatten(1).tolist(), labels.tolist(), strict=False)
    expected = [oracle.fgsm(layers, x, label, 0.3) for x, label in samples]
    assert changed.inputs[:count].flatten(1).tolist() == expected
    assert torch.equal(changed.inputs[count:], inputs[count:])
    assert changed.targets is labels


def test_every_feature_with_a_gradient_moves_by_the_budget_up_the_loss():
    model = network()
    inputs, targets = batch()
    changed = (
        Fgsm(budget=0.01, split=1.0)
        .perturb(model, Batch(inputs=inputs, targets=targets), seeded())
        .inputs
    )
    steps = (changed - inputs).abs()
    # Features that lose in every max pool have no gradient.
    moved = steps > 0
    assert moved.double().mean() > 0.8
    assert (steps[moved] - 0.01).abs().max() < 1e-12
    loss = nn.functional.cross_entropy
    assert loss(model(changed), targets) > loss(model(inputs), targets)


def test_a_feature_without_gradient_stays():
    model = Flat(torch.tensor([[1.0, 0.0, -1.0], [-1.0, 0.0, 1.0]]))
    inputs = torch.ones(2, 1, 3)
    method = Fgsm(budget=0.5, split=1.0)
    changed = method.perturb(
        model, Batch(inputs=inputs, targets=torch.tensor([0, 1])), seeded()
    ).inputs
    assert changed.tolist() == [[[0.5, 1.0, 1.5]], [[1.5, 1.0, 0.5]]]


@pytest.mark.parametrize("shape", [(7,), (5, 7), (3, 4, 5, 2)])
def test_inputs_of_any_shape_are_attacked(shape):
    inputs = torch.randn(4, *shape)
    model = nn.Sequential(nn.Flatten(), nn.Linear(inputs[0].numel(), 3))
    changed = Fgsm(budget=0.25).perturb(
        model, Batch(inputs=inputs, targets=torch.tensor([0, 1, 2, 0])), seeded()
    )
    assert ((changed.inputs - inputs).abs()[:2] - 0.25).abs().max() < 1e-6
    assert torch.equal(changed.inputs[2:], inputs[2:])


def test_only_attacked_samples_are_clipped():
    inputs, targets = batch()
    method = Fgsm(budget=0.3, clip=(-0.5, 0.5))
    changed = method.perturb(network(), Batch(inputs=inputs, targets=targets), seeded()).inputs
    assert changed[:5].abs().max() == 0.5
    assert torch.equal(changed[5:], inputs[5:])


def test_it_costs_one_forward_and_one_input_only_backward_of_the_attacked(monkeypatch):
    model = network()
    inputs, targets = batch()
    passes = counted(model, monkeypatch)
    Fgsm(split=0.5).perturb(model, Batch(inputs=inputs, targets=targets), seeded())
    assert passes.forward == [5]
    assert passes.backward == [True]
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_batch_too_small_for_its_share_is_left_alone_without_a_pass(monkeypatch):
    model = network()
    inputs, targets = batch(1)
    passes = counted(model, monkeypatch)
    assert Fgsm().perturb(model, Batch(inputs=inputs, targets=targets), seeded()).inputs is inputs
    assert passes.forward == []


def test_the_model_keeps_its_mode_and_batch_statistics_and_samples_their_independence():
    model = conv_net(batch_norm=True).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    inputs, targets = conv_inputs(6), torch.arange(6) % 5
    method = Fgsm(split=1.0)
    together = method.perturb(model, Batch(inputs=inputs, targets=targets), seeded()).inputs
    alone = [
        method.perturb(
            model, Batch(inputs=inputs[i : i + 1], targets=targets[i : i + 1]), seeded()
        ).inputs
        for i in range(6)
    ]
    assert torch.equal(together, torch.cat(alone))
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_settings_at_the_border_of_their_range_are_accepted():
    Fgsm(budget=0.0, split=1.0, clip=(0.0, 1.0)).check(Digits().info)
