"""Gradient attributions and their target class."""

from __future__ import annotations

import pytest
import torch

from tests.trainables.builders import Flat, conv_net
from trainables.attribution import input_x_gradient
from trainables.attribution.gradients import eval_mode, resolve_target


def test_a_tensor_is_taken_as_it_is_and_a_function_is_asked():
    logits = torch.tensor([[0.0, 2.0], [3.0, 1.0]])
    target = torch.tensor([0, 0])
    assert resolve_target(target, logits) is target
    assert resolve_target(lambda given: given.argmax(1), logits).tolist() == [1, 0]


def test_every_module_gets_its_own_mode_back():
    model = conv_net(batch_norm=True).train()
    model.features.eval()
    model.features[0].train()
    before = [module.training for module in model.modules()]
    with eval_mode(model):
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == before
    with pytest.raises(KeyError), eval_mode(model):
        raise KeyError
    assert [module.training for module in model.modules()] == before
    assert len(set(before)) == 2


def test_the_relevance_of_a_linear_model_is_input_times_weight():
    weight = torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, -1.0]])
    inputs = torch.tensor([[[2.0, 3.0, -1.0]], [[4.0, 5.0, 6.0]]])
    found = input_x_gradient(Flat(weight), inputs, torch.tensor([0, 1]))
    assert found.tolist() == [[[2.0, -6.0, -3.0]], [[2.0, 0.0, -6.0]]]
