from __future__ import annotations

import pytest
import torch

from tests.trainables.builders import conv_net
from trainables.attribution.target import choose, evaluation_mode


def test_a_tensor_is_taken_as_it_is_and_a_function_is_asked():
    logits = torch.tensor([[0.0, 2.0], [3.0, 1.0]])
    target = torch.tensor([0, 0])
    assert choose(target, logits) is target
    assert choose(lambda given: given.argmax(1), logits).tolist() == [1, 0]


def test_every_module_gets_its_own_mode_back():
    model = conv_net(batch_norm=True).train()
    model.features.eval()
    model.features[0].train()
    before = [module.training for module in model.modules()]
    with evaluation_mode(model):
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == before
    with pytest.raises(KeyError), evaluation_mode(model):
        raise KeyError
    assert [module.training for module in model.modules()] == before
    assert len(set(before)) == 2
