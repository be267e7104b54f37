from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.trainables.methods.small_network import seeded
from trainables.batch import Batch
from trainables.datasets import Digits
from trainables.errors import ConfigError
from trainables.methods import Random


def perturbed(method: Random, count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    inputs = torch.randn(count, 1, 5, 5)
    targets = torch.arange(count)
    model = nn.Identity()
    model.register_forward_hook(lambda *_: pytest.fail("the control asked the model"))
    batch = method.perturb(model, Batch(inputs=inputs, targets=targets), seeded(seed))
    assert torch.equal(batch.targets, torch.arange(count))
    return inputs, batch.inputs


def test_n_features_of_a_go_down_and_of_b_up_and_the_rest_is_bit_identical():
    inputs, changed = perturbed(Random(n_features=4, alpha=0.5, beta=0.25), 16)
    steps = (changed - inputs).flatten(1)
    assert ((steps + 0.5).abs() < 1e-6).sum(1).tolist() == [4] * 4 + [0] * 12
    assert ((steps - 0.25).abs() < 1e-6).sum(1).tolist() == [0] * 4 + [4] * 4 + [0] * 8
    assert (steps[:8] != 0).sum(1).tolist() == [4] * 8
    assert torch.equal(changed[8:], inputs[8:])


def test_a_share_of_the_features_is_rounded():
    inputs, changed = perturbed(Random(n_features=0.3), 8)
    assert (changed != inputs).flatten(1).sum(1).tolist() == [8] * 4 + [0] * 4


def test_clipping_bounds_challenged_samples():
    inputs, changed = perturbed(Random(clip=(-0.5, 0.5)), 8)
    assert changed[:4].abs().max() == 0.5
    assert torch.equal(changed[4:], inputs[4:])


def test_a_batch_too_small_for_its_parts_is_left_alone():
    inputs, changed = perturbed(Random(), 3)
    assert torch.equal(changed, inputs)


def test_more_features_than_there_are_are_refused():
    with pytest.raises(ConfigError) as caught:
        Random(n_features=785).check(Digits().info)
    assert str(caught.value) == "n_features must not exceed the 784 input features, got 785."
