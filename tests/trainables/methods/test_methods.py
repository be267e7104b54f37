"""Promises that every method keeps, on real digits and a narrow VGG."""

from __future__ import annotations

import copy
import dataclasses
import math
from dataclasses import replace

import pytest
import torch

from tests.trainables.builders import trial
from tests.trainables.methods.small_network import seeded
from trainables.batch import Batch
from trainables.datasets import Digits
from trainables.loop import run_epoch, start
from trainables.methods import METHODS

CPU = torch.device("cpu")


WITH_AMOUNTS = [
    name
    for name, kind in sorted(METHODS.items())
    if {"alpha", "beta"} <= {field.name for field in dataclasses.fields(kind)}
]


# FGSM follows the gradient alone; Saliency Guided Training draws what its extra loss masks with.
WITHOUT_CHANCE_IN_THE_INPUTS = ("base", "base_finetune", "fgsm", "saliency_guided")


@pytest.fixture(params=sorted(METHODS))
def name(request):
    return request.param


def one_epoch(name: str, digits, seed: int):
    config = trial(name)
    state = start(config, config.dataset.info, seed, CPU)
    run_epoch(config, digits, state)
    return state


def perturb(name: str, digits, seed: int):
    model = start(trial(name), Digits().info, 0, CPU).model
    source = seeded(seed)
    train = digits.train
    return METHODS[name]().perturb(
        model, Batch(inputs=train.inputs, targets=train.targets), source
    )


def test_it_is_known_by_its_own_name_and_frozen(name):
    assert METHODS[name].name == name
    assert METHODS[name].__dataclass_params__.frozen
    assert METHODS[name].__slots__ is not None


def test_it_accepts_the_default_dataset_with_its_defaults(name):
    METHODS[name]().check(Digits().info)


def test_one_epoch_has_a_finite_loss_and_changes_every_weight(name, digits):
    config = trial(name)
    before = copy.deepcopy(start(config, config.dataset.info, 1, CPU).model.state_dict())
    state = one_epoch(name, digits, 1)
    assert math.isfinite(float(state.window.total))
    assert (state.epoch, state.step, state.window.steps) == (1, 4, 4)
    for key, value in state.model.state_dict().items():
        assert value.isfinite().all()
        if key.endswith("weight"):
            assert not torch.equal(value, before[key])


def test_equal_seeds_give_equal_weights_and_different_seeds_different_ones(name, digits):
    first, again, other = (one_epoch(name, digits, seed).model.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert not torch.equal(first["features.0.weight"], other["features.0.weight"])


def test_its_randomness_comes_from_the_generator_alone(name, digits):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = perturb(name, digits, 5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(perturb(name, digits, 5).inputs, first.inputs)
    if name not in WITHOUT_CHANCE_IN_THE_INPUTS:
        assert not torch.equal(perturb(name, digits, 6).inputs, first.inputs)


def test_an_epoch_leaves_the_global_generator_alone(name, digits):
    state = torch.get_rng_state()
    one_epoch(name, digits, 1)
    assert torch.equal(torch.get_rng_state(), state)


def test_perturbing_keeps_shape_kind_device_and_the_given_batch(name, digits):
    inputs, targets = digits.train.inputs.clone(), digits.train.targets.clone()
    batch = perturb(name, digits, 0)
    assert batch.inputs.shape == inputs.shape
    assert batch.inputs.dtype == inputs.dtype
    assert batch.inputs.device == inputs.device
    assert not batch.inputs.requires_grad
    if batch.targets.is_floating_point():
        assert batch.targets.shape == (len(targets), Digits().info.n_classes)
        assert torch.allclose(batch.targets.sum(1), torch.ones(len(targets)))
    else:
        assert torch.equal(batch.targets, targets)
    assert torch.equal(digits.train.inputs, inputs)
    assert torch.equal(digits.train.targets, targets)


def test_perturbing_leaves_the_model_in_its_mode_and_unchanged(name, digits):
    model = start(trial(name), Digits().info, 0, CPU).model.train()
    before = copy.deepcopy(model.state_dict())
    source = seeded()
    METHODS[name]().perturb(
        model, Batch(inputs=digits.train.inputs, targets=digits.train.targets), source
    )
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", WITH_AMOUNTS)
def test_a_challenge_of_amount_zero_is_ordinary_training(name, digits):
    config = replace(trial(name), method=METHODS[name](alpha=0.0, beta=0.0))
    state = start(config, config.dataset.info, 1, CPU)
    run_epoch(config, digits, state)
    base = one_epoch("base", digits, 1).model.state_dict()
    assert all(torch.equal(value, base[key]) for key, value in state.model.state_dict().items())
