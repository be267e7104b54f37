"""Promises that every model keeps, each on data of its own domain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from trainables.datasets import DatasetInfo, Digits
from trainables.models import MODELS, ModuleModel, TorchvisionModel


@dataclass(frozen=True)
class Data:
    """Small data of one domain; ``draw`` gives as many random samples as asked for."""

    info: DatasetInfo
    draw: Callable[[int], Tensor]


def texts(count: int) -> Tensor:
    """Draw word vectors, and leave the second half of every other text empty."""
    vectors = torch.randn(count, 100, 160)
    vectors[::2, :, 80:] = 0
    return vectors


IMAGES = Data(Digits().info, lambda count: torch.randn(count, 1, 28, 28))
TEXTS = Data(DatasetInfo(n_classes=10, input_shape=(100, 160), domain="text"), texts)
SERIES = Data(
    DatasetInfo(n_classes=10, input_shape=(12, 120), domain="series"),
    lambda count: torch.randn(count, 12, 120),
)

DATA = {"fcn_wang": SERIES, "mlp": SERIES, "module": SERIES, "text_cnn": TEXTS}
OTHERS = {
    "module": ModuleModel(factory="tests.trainables.models.small_modules:build"),
    "torchvision": TorchvisionModel(architecture="shufflenet_v2_x0_5"),
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=sorted(MODELS))
def name(request):
    return request.param


@pytest.fixture
def settings(name):
    return OTHERS.get(name) or MODELS[name](width=1 / 16)


@pytest.fixture
def data(name):
    return DATA.get(name, IMAGES)


def test_the_names_are_those_of_the_settings():
    assert {name: kind.name for name, kind in MODELS.items()} == {name: name for name in MODELS}


def test_it_gives_a_logit_per_class(settings, data):
    logits = settings.build(data.info, generator())(data.draw(3))
    assert logits.shape == (3, data.info.n_classes)
    assert logits.isfinite().all()
    assert logits.std() > 0


def test_training_lowers_the_loss(settings, data):
    model = settings.build(data.info, generator())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    targets = torch.arange(30) % data.info.n_classes
    # A pattern per class under noise, so that there is something to learn.
    inputs = data.draw(data.info.n_classes)[targets] + 0.3 * data.draw(30)
    losses = []
    for _ in range(15):
        loss = nn.functional.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert all(torch.tensor(losses).isfinite())
    assert losses[-1] < 0.9 * losses[0]
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_equal_generators_give_equal_weights_whatever_the_global_one_does(settings, data):
    torch.manual_seed(1)
    first = settings.build(data.info, generator(7)).state_dict()
    torch.manual_seed(2)
    again = settings.build(data.info, generator(7)).state_dict()
    other = settings.build(data.info, generator(8)).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    weight = next(iter(first))
    assert not torch.equal(first[weight], other[weight])


def test_one_generator_gives_other_weights_each_time_it_is_used(settings, data):
    source = generator(7)
    first, second = (settings.build(data.info, source).state_dict() for _ in range(2))
    weight = next(iter(first))
    assert not torch.equal(first[weight], second[weight])


def test_the_global_generator_is_left_alone(settings, data):
    state = torch.get_rng_state()
    settings.build(data.info, generator())
    assert torch.equal(torch.get_rng_state(), state)


def test_no_activation_of_our_networks_is_in_place_and_none_is_used_twice(name, settings, data):
    if name == "torchvision":
        return
    model = settings.build(data.info, generator())
    assert not any(getattr(module, "inplace", False) for module in model.modules())
    calls = []
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda used, _inputs, _output: calls.append(used))
    model(data.draw(2))
    assert len(calls) == len(set(calls)) > 0
