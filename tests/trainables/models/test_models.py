"""Promises that every model keeps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trainables.datasets import Digits
from trainables.models import MODELS

INFO = Digits().info


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=sorted(MODELS))
def settings(request):
    return MODELS[request.param](width=1 / 16)


def test_the_names_are_those_of_the_settings():
    assert {name: kind.name for name, kind in MODELS.items()} == {name: name for name in MODELS}


def test_it_gives_a_logit_per_class(settings, digits):
    logits = settings.build(INFO, generator())(digits.train.inputs[:3])
    assert logits.shape == (3, 10)
    assert logits.isfinite().all()
    assert logits.std() > 0


def test_training_lowers_the_loss(settings, digits):
    model = settings.build(INFO, generator())
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    inputs, targets = digits.train.inputs, digits.train.targets
    losses = []
    for _ in range(15):
        loss = nn.functional.cross_entropy(model(inputs), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert all(torch.tensor(losses).isfinite())
    assert losses[-1] < 0.9 * losses[0]
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_equal_generators_give_equal_weights_whatever_the_global_one_does(settings):
    torch.manual_seed(1)
    first = settings.build(INFO, generator(7)).state_dict()
    torch.manual_seed(2)
    again = settings.build(INFO, generator(7)).state_dict()
    other = settings.build(INFO, generator(8)).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert not torch.equal(first["features.0.weight"], other["features.0.weight"])


def test_one_generator_gives_other_weights_each_time_it_is_used(settings):
    source = generator(7)
    first, second = (settings.build(INFO, source).state_dict() for _ in range(2))
    assert not torch.equal(first["features.0.weight"], second["features.0.weight"])


def test_the_global_generator_is_left_alone(settings):
    state = torch.get_rng_state()
    settings.build(INFO, generator())
    assert torch.equal(torch.get_rng_state(), state)


def test_no_activation_is_in_place(settings):
    model = settings.build(INFO, generator())
    assert not any(getattr(module, "inplace", False) for module in model.modules())
