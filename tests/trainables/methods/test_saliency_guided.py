from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.oracles import saliency_guided as oracle
from tests.trainables.builders import trial
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
from trainables.loop import init_replica, run_epoch
from trainables.methods import SaliencyGuided
from trainables.methods.challenge import SelectedFeatures
from trainables.methods.saliency_guided import fill_within_range


def masked_by_twin(method: SaliencyGuided, model, inputs, labels, seed: int) -> list[list[float]]:
    count = max(1, round(method.masked_fraction * 72))
    draws = torch.rand(len(inputs), 2, 36, generator=generator(seed), dtype=torch.float64)
    layers = twin(model)
    masked = []
    for x, label, u in zip(
        inputs.flatten(1).tolist(), labels.tolist(), draws.flatten(1).tolist(), strict=True
    ):
        by_magnitude = method.order == "absolute"
        lowest = oracle.lowest_features(layers, x, label, count, by_magnitude=by_magnitude)
        masked.append(oracle.mask(x, lowest, u, 2))
    return masked


# Features that lose in every max pool share the gradient 0: counts at which they do not decide.
METHODS = {
    "default": SaliencyGuided(masked_fraction=0.1),
    "one feature": SaliencyGuided(masked_fraction=0.001, weight=3.0),
    "nearly all": SaliencyGuided(masked_fraction=0.9, weight=0.5),
    "all": SaliencyGuided(masked_fraction=1.0),
    "by magnitude": SaliencyGuided(masked_fraction=1.0, order="absolute"),
}


@pytest.mark.parametrize("name", METHODS)
def test_the_extra_loss_is_the_divergence_of_the_slow_twin(name):
    method, model = METHODS[name], network()
    inputs, targets = batch()
    found = method.perturb(model, Batch(inputs=inputs, targets=targets), seeded(2))
    loss = found.extra_loss(model, model(inputs)).mean().detach()
    masked = masked_by_twin(method, model, inputs, targets, 2)
    expected = oracle.divergence(twin(model), inputs.flatten(1).tolist(), masked)
    assert float(loss) == pytest.approx(method.weight * expected, rel=1e-10)
    assert float(loss) > 0
    assert found.inputs is inputs
    assert found.targets is targets


def test_for_multi_labels_the_divergence_is_that_of_the_labels():
    model = network()
    inputs, labels = batch()[0], multi_labels()
    found = SaliencyGuided(masked_fraction=1.0).perturb(
        model, Batch(inputs=inputs, targets=labels), seeded(2)
    )
    loss = found.extra_loss(model, model(inputs)).mean().detach()
    some_class = torch.zeros(11, dtype=torch.long)
    masked = masked_by_twin(SaliencyGuided(masked_fraction=1.0), model, inputs, some_class, 2)
    expected = oracle.label_divergence(twin(model), inputs.flatten(1).tolist(), masked)
    assert float(loss) == pytest.approx(expected, rel=1e-10)


class Seen(nn.Module):
    """A linear classifier that keeps what it was last shown."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.last = torch.empty(0)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.last = inputs.detach()
        return inputs.flatten(1) @ self.weight.T


def masked_features(method: SaliencyGuided, weight: torch.Tensor) -> list[list[int]]:
    model = Seen(weight)
    inputs = torch.randn(len(weight), 1, weight.shape[1])
    found = method.perturb(
        model, Batch(inputs=inputs, targets=torch.arange(len(weight))), seeded()
    )
    found.extra_loss(model, model(inputs))
    changed = (model.last != inputs)[:, 0]
    return [row.nonzero().flatten().tolist() for row in changed]


def test_the_lowest_gradients_of_the_true_class_are_masked():
    weight = torch.tensor([[-4.0, 0.1, 3.0, 0.2, 2.0, 5.0], [1.0, -0.5, -6.0, 0.25, 7.0, 8.0]])
    assert masked_features(SaliencyGuided(), weight) == [[0, 1, 3], [1, 2, 3]]
    by_magnitude = SaliencyGuided(order="absolute")
    assert masked_features(by_magnitude, weight) == [[1, 3, 4], [0, 1, 3]]


def test_masked_values_are_uniform_over_the_range_of_their_channel():
    inputs = torch.stack([torch.linspace(-1, 3, 50), torch.linspace(10, 20, 50)])
    inputs = inputs.expand(200, 2, 50)
    features = SelectedFeatures(indices=torch.arange(100).expand(200, 100), is_selected=None)
    changed = fill_within_range(inputs, features, seeded())
    for channel, (low, high) in enumerate([(-1, 3), (10, 20)]):
        values = (changed[:, channel] - low) / (high - low)
        assert 0 <= values.min() < 0.01
        assert 0.99 < values.max() <= 1
        # 10,000 draws: 0.5 ± 0.003, 1/12 ± 0.0007.
        assert float(values.mean()) == pytest.approx(0.5, abs=0.015)
        assert float(values.var()) == pytest.approx(1 / 12, abs=0.004)


def test_without_a_grid_the_range_is_that_of_the_sample():
    inputs = torch.tensor([[0.0, 1.0, 2.0, 4.0]]).expand(500, 4)
    features = SelectedFeatures(indices=torch.tensor([[1]]).expand(500, 1), is_selected=None)
    changed = fill_within_range(inputs, features, seeded())
    assert torch.equal(changed[:, [0, 2, 3]], inputs[:, [0, 2, 3]])
    assert 0 <= changed[:, 1].min() < 0.1
    assert 3.9 < changed[:, 1].max() <= 4


def test_the_loss_pulls_at_both_predictions():
    model = network()
    inputs, targets = batch()
    found = SaliencyGuided(masked_fraction=1.0).perturb(
        model, Batch(inputs=inputs, targets=targets), seeded()
    )
    logits = model(inputs).detach().requires_grad_()
    found.extra_loss(model, logits).mean().backward()
    assert logits.grad.abs().sum() > 0
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


@pytest.mark.parametrize("shape", [(7,), (5, 7), (3, 4, 5, 2)])
def test_inputs_of_any_shape_are_masked(shape):
    inputs = torch.randn(4, *shape)
    model = nn.Sequential(nn.Flatten(), nn.Linear(inputs[0].numel(), 3))
    found = SaliencyGuided().perturb(
        model, Batch(inputs=inputs, targets=torch.tensor([0, 1, 2, 0])), seeded()
    )
    assert float(found.extra_loss(model, model(inputs)).mean().detach()) > 0


def test_it_costs_one_input_only_backward_and_two_forwards_beside_the_step(monkeypatch):
    model = network()
    inputs, targets = batch()
    passes = counted(model, monkeypatch)
    found = SaliencyGuided().perturb(model, Batch(inputs=inputs, targets=targets), seeded())
    assert passes.forward == [11]
    assert passes.backward == [True]
    assert all(parameter.grad is None for parameter in model.parameters())
    found.extra_loss(model, model(inputs)).mean().backward()
    assert passes.forward == [11] * 3
    assert passes.backward == [True, False]


def test_the_extra_loss_is_a_function_of_the_generator_alone():
    model = network()
    inputs, targets = batch()

    def loss(seed: int) -> float:
        found = SaliencyGuided().perturb(
            model, Batch(inputs=inputs, targets=targets), seeded(seed)
        )
        return float(found.extra_loss(model, model(inputs)).mean().detach())

    state = torch.get_rng_state()
    first = loss(1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(9)
    assert loss(1) == first
    assert loss(2) != first


def test_a_weight_of_zero_is_ordinary_training(digits):
    weights = []
    for method in (trial().method, SaliencyGuided(weight=0.0)):
        config = trial()
        # Batch norm and dropout would see the masked batch too.
        model = replace(config.model, batch_norm=False, dropout=0.0)
        config = replace(config, model=model, method=method)
        state = init_replica(config, config.dataset.info, 1, torch.device("cpu"))
        run_epoch(config, digits, state)
        weights.append(state.model.state_dict())
    assert all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())


def test_settings_at_the_border_of_their_range_are_accepted():
    SaliencyGuided(masked_fraction=1.0, weight=0.0).check(Digits().info)
