from __future__ import annotations

import torch

from tests.trainables.builders import Flat
from trainables.attribution import input_x_gradient


def test_the_relevance_of_a_linear_model_is_input_times_weight():
    weight = torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, -1.0]])
    inputs = torch.tensor([[[2.0, 3.0, -1.0]], [[4.0, 5.0, 6.0]]])
    found = input_x_gradient(Flat(weight), inputs, torch.tensor([0, 1]))
    assert found.tolist() == [[[2.0, -6.0, -3.0]], [[2.0, 0.0, -6.0]]]
