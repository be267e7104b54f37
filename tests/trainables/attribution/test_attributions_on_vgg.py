"""Every attribution explains our VGG, or refuses it before training, and serves Challenger."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from trainables.attribution import ATTRIBUTIONS, AttributionConfig
from trainables.batch import Batch
from trainables.datasets import Digits
from trainables.decoding import decode, encode
from trainables.errors import ConfigError
from trainables.methods.challenger import Challenger
from trainables.models import Vgg11
from trainables.replica_rng import ReplicaRNG


@pytest.fixture(params=[False, True], ids=["plain", "batch_norm"])
def model(request):
    settings = Vgg11(width=1 / 32, batch_norm=request.param, dropout=0.3)
    return settings.build(Digits().info, torch.Generator().manual_seed(0)).train()


@pytest.mark.parametrize("name", sorted(ATTRIBUTIONS))
def test_it_runs_or_is_refused_before(name, model, digits):
    attribution = ATTRIBUTIONS[name]()
    inputs, targets = digits.train.inputs[:4], digits.train.targets[:4]
    try:
        attribution.check(model, inputs)
    except ConfigError:
        return
    found = attribution(model, inputs, targets)
    assert found.shape == inputs.shape
    assert found.dtype == inputs.dtype
    assert found.isfinite().all()
    assert found.abs().sum() > 0
    assert torch.equal(attribution(model, inputs, targets), found)


@pytest.mark.parametrize("name", sorted(ATTRIBUTIONS))
def test_our_vgg_is_refused_by_none(name, model):
    ATTRIBUTIONS[name]().check(model, torch.zeros(1, *Digits().info.input_shape))


@pytest.mark.parametrize("name", sorted(ATTRIBUTIONS))
def test_challenger_perturbs_with_it(name, model, digits):
    method = Challenger(attribution=ATTRIBUTIONS[name](), n_features=20)
    before = copy.deepcopy(model.state_dict())
    states = torch.get_rng_state(), np.random.get_state()[1].copy()

    def perturb() -> Batch:
        source = ReplicaRNG.of(torch.Generator().manual_seed(0))
        return method.perturb(
            model, Batch(inputs=digits.train.inputs, targets=digits.train.targets), source
        )

    batch = perturb()
    changed = (batch.inputs != digits.train.inputs).flatten(1).sum(1)
    # Half of 30, of which A and B get equally many.
    assert changed.tolist() == [20] * 14 + [0] * 16
    assert torch.equal(perturb().inputs, batch.inputs)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_it_may_come_between_a_forward_pass_and_its_backward_pass(model, digits):
    """Captum's LRP writes the weights back to where they were; autograd must not mind."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    inputs, targets = digits.train.inputs, digits.train.targets
    before = copy.deepcopy(model.state_dict())
    loss = torch.nn.functional.cross_entropy(model(inputs), targets)
    with torch.no_grad():
        for kind in ATTRIBUTIONS.values():
            kind()(model, inputs[:2], targets[:2])
    loss.backward()
    optimizer.step()
    assert not torch.equal(model.features[0].weight, before["features.0.weight"])


@pytest.mark.parametrize("name", sorted(ATTRIBUTIONS))
def test_a_name_alone_is_decoded_to_its_defaults_and_back(name):
    settings = decode(AttributionConfig, name)
    assert settings == ATTRIBUTIONS[name]()
    assert decode(AttributionConfig, encode(settings)) == settings
