from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.oracles.metrics import pair_cosines
from trainables.evaluation import filter_metrics
from trainables.filter_cosine import filter_cosine


def layer(weight: torch.Tensor) -> nn.Conv2d:
    """Build a convolution without bias of given weights."""
    module = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], bias=False)
    module.weight = nn.Parameter(weight)
    return module


def rows(*values: list[float]) -> nn.Conv2d:
    return layer(torch.tensor(values)[:, :, None, None])


def test_random_filters_of_nine_weights_have_the_papers_standard_deviation():
    # Methods facts, section 5: over 2000 random 64 × 1 × 3 × 3 layers the standard deviation over
    # pairs is 0.333 ± 0.005 and the mean 0.000 ± 0.007. The means of 200 layers are √200 = 14
    # times as sharp; the tolerances are four of those standard errors.
    found = [filter_cosine(nn.Conv2d(1, 64, 3))["conv1"] for _ in range(200)]
    assert np.mean([f.std for f in found]) == pytest.approx(1 / 3, abs=4 * 0.005 / 14 + 5e-4)
    assert np.mean([f.mean for f in found]) == pytest.approx(0, abs=4 * 0.007 / 14)


def test_random_filters_are_at_chance_whatever_their_size():
    for channels in (4, 16, 64):
        found = filter_cosine(layer(torch.randn(64, channels, 3, 3)))["conv1"]
        # 2016 pairs, each |cos| spread by 0.75 of its mean: 1 ± 0.017; four of them, and the
        # small excess of √(2 / πd) over its limit in d.
        assert found.relative == pytest.approx(1, abs=0.075)


@pytest.mark.parametrize("shape", [(5, 2, 3, 3), (8, 1, 1, 1), (2, 6, 2, 2)])
def test_it_is_the_mean_over_pairs_of_different_filters(shape):
    weight = torch.randn(shape) + 0.3
    cosines = pair_cosines(weight.flatten(1).double().numpy())
    found = filter_cosine(layer(weight))["conv1"]
    chance = np.sqrt(2 / (np.pi * weight[0].numel()))
    assert found.mean == pytest.approx(cosines.mean(), abs=1e-12)
    assert found.std == pytest.approx(cosines.std(), abs=1e-12)
    assert found.absolute == pytest.approx(np.abs(cosines).mean(), rel=1e-12)
    assert found.relative == pytest.approx(np.abs(cosines).mean() / chance, rel=1e-12)


def test_identical_filters_have_cosine_1_and_opposite_ones_minus_1():
    same = filter_cosine(rows([1.0, 2.0], [2.0, 4.0], [0.5, 1.0]))["conv1"]
    assert same.mean == pytest.approx(1, abs=1e-12)
    assert same.std == pytest.approx(0, abs=1e-7)
    opposite = filter_cosine(rows([1.0, 2.0], [-2.0, -4.0]))["conv1"]
    assert opposite.mean == pytest.approx(-1, abs=1e-12)
    assert opposite.relative == pytest.approx(np.sqrt(np.pi), rel=1e-12)


def test_a_filter_of_zeros_has_cosine_0_with_every_other():
    found = filter_cosine(rows([0.0, 0.0], [1.0, 0.0], [1.0, 0.0]))["conv1"]
    assert found.mean == pytest.approx(1 / 3)
    dead = filter_cosine(rows([0.0, 0.0], [0.0, 0.0]))["conv1"]
    assert (dead.mean, dead.std, dead.relative) == (0, 0, 0)


def test_biases_do_not_count():
    module = nn.Conv2d(2, 4, 3)
    before = filter_cosine(module)
    module.bias.data += 100
    assert filter_cosine(module) == before


def test_layers_are_numbered_in_order_and_those_of_one_filter_left_out():
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.Linear(4, 4), nn.Conv2d(2, 1, 3), nn.Conv1d(1, 3, 2)
    )
    assert list(filter_cosine(model)) == ["conv1", "conv3"]
    assert filter_cosine(nn.Linear(3, 3)) == {}
    assert filter_metrics(nn.Linear(3, 3)) == {}


def test_one_dimensional_convolutions_are_compared_in_the_same_way():
    module = nn.Conv1d(3, 5, 4)
    cosines = pair_cosines(module.weight.detach().flatten(1).double().numpy())
    assert filter_cosine(module)["conv1"].mean == pytest.approx(cosines.mean(), abs=1e-12)


def test_the_metrics_name_every_layer_and_the_unweighted_means():
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Conv2d(3, 40, 3))
    layers = filter_cosine(model)
    found = filter_metrics(model)
    first, second = layers["conv1"], layers["conv2"]
    assert found == {
        "filter_cosine/conv1": first.mean,
        "filter_cosine/conv2": second.mean,
        "filter_cosine_pair_std/conv1": first.std,
        "filter_cosine_pair_std/conv2": second.std,
        "filter_cosine_absolute/conv1": first.absolute,
        "filter_cosine_absolute/conv2": second.absolute,
        "filter_cosine_relative/conv1": first.relative,
        "filter_cosine_relative/conv2": second.relative,
        "filter_cosine/mean": pytest.approx((first.mean + second.mean) / 2),
        "filter_cosine_relative/mean": pytest.approx((first.relative + second.relative) / 2),
    }
