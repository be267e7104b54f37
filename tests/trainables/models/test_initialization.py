from __future__ import annotations

import pytest
import torch
from torch import nn

from trainables.models.initialization import initialize


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def model():
    return nn.Sequential(
        nn.Conv1d(6, 40, 5), nn.BatchNorm1d(40), nn.Conv2d(3, 40, 3, bias=False), nn.Linear(40, 30)
    )


def weighted(model: nn.Module) -> list[nn.Module]:
    return [layer for layer in model if not isinstance(layer, nn.BatchNorm1d)]


def test_kaiming_weights_have_the_standard_deviation_of_he_and_no_bias(model):
    initialize(model, "kaiming", generator())
    for layer in weighted(model):
        weight = layer.weight.detach()
        expected = (2 / weight[0].numel()) ** 0.5
        # The standard deviation of an estimate from n draws is 1 / √(2n) of it; five of them.
        tolerance = 5 / (2 * weight.numel()) ** 0.5
        assert float(weight.std()) == pytest.approx(expected, rel=tolerance)
        assert layer.bias is None or (layer.bias == 0).all()


def test_default_weights_and_biases_stay_within_torchs_bound(model):
    initialize(model, "torch", generator())
    for layer in weighted(model):
        bound = layer.weight[0].numel() ** -0.5
        assert 0.9 * bound < layer.weight.abs().max() <= bound
        assert layer.bias is None or 0 < layer.bias.abs().max() <= bound


@pytest.mark.parametrize("how", ["kaiming", "torch"])
@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.BatchNorm2d])
def test_a_batch_norm_starts_neutral_whatever_it_has_seen(how, norm):
    layer = norm(3)
    for value in layer.state_dict().values():
        value.fill_(7)
    initialize(layer, how, generator())
    fresh = norm(3).state_dict()
    assert all(torch.equal(value, fresh[key]) for key, value in layer.state_dict().items())


@pytest.mark.parametrize("how", ["kaiming", "torch"])
def test_the_weights_follow_from_the_generator_alone(model, how):
    states = []
    for seed, own in [(1, 7), (2, 7), (2, 8)]:
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        initialize(model, how, generator(own))
        assert torch.equal(torch.get_rng_state(), before)
        states.append(model[0].weight.detach().clone())
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[1], states[2])
