from __future__ import annotations

import torch
from torch import nn

from tests.trainables.methods.small_network import seeded
from trainables.batch import Batch
from trainables.datasets import Digits
from trainables.methods import Base


def test_it_gives_the_batch_back_itself():
    inputs, targets = torch.randn(4, 1, 3, 3), torch.arange(4)
    Base().check(Digits().info)
    batch = Base().perturb(nn.Identity(), Batch(inputs=inputs, targets=targets), seeded())
    assert batch.inputs is inputs
    assert batch.targets is targets
