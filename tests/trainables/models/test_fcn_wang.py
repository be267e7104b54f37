from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from trainables.attribution import epsilon_lrp
from trainables.datasets import DatasetInfo, Digits, PtbXl
from trainables.errors import ConfigError
from trainables.models import FcnWang

INFO = PtbXl().info


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def series(length: int, channels: int = 3) -> DatasetInfo:
    return DatasetInfo(n_classes=4, input_shape=(channels, length), domain="series")


def parameter_count(width: float, n_classes: int, *, batch_norm: bool = True) -> int:
    """Count by hand: three convolutions, the head's two layers, two numbers per batch norm."""
    a, b, c, hidden = (round(n * width) for n in (128, 256, 128, 128))
    convolutions = 12 * a * 8 + a * b * 5 + b * c * 3
    head = 2 * c * hidden + hidden + hidden * n_classes + n_classes
    extra = 2 * (a + b + c + 2 * c + hidden) if batch_norm else a + b + c
    return convolutions + head + extra


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        (FcnWang(), parameter_count(1, 5)),
        (FcnWang(width=1 / 8), parameter_count(1 / 8, 5)),
        (FcnWang(dropout=0.0), parameter_count(1, 5)),
        (FcnWang(batch_norm=False), parameter_count(1, 5, batch_norm=False)),
    ],
    ids=["published", "narrow", "no dropout", "biases instead of batch norm"],
)
def test_it_has_the_benchmarks_number_of_parameters_times_the_width(settings, count):
    model = settings.build(INFO, generator())
    assert sum(parameter.numel() for parameter in model.parameters()) == count


def test_the_layers_are_the_benchmarks():
    model = FcnWang().build(INFO, generator())
    kinds = [type(layer).__name__ for layer in model.features]
    assert kinds == ["Conv1d", "BatchNorm1d", "ReLU"] * 3
    convolutions = [layer for layer in model.features if isinstance(layer, nn.Conv1d)]
    assert [(c.in_channels, c.out_channels, *c.kernel_size) for c in convolutions] == [
        (12, 128, 8),
        (128, 256, 5),
        (256, 128, 3),
    ]
    assert [c.padding for c in convolutions] == [(3,), (2,), (1,)]
    assert all(c.stride == (1,) and c.bias is None for c in convolutions)
    norm, first_drop, first, _, second_norm, drop, last = model.head
    assert isinstance(norm, nn.BatchNorm1d)
    assert isinstance(second_norm, nn.BatchNorm1d)
    assert (norm.num_features, second_norm.num_features) == (256, 128)
    assert (first_drop.p, drop.p) == (0.25, 0.5)
    assert (first.in_features, first.out_features) == (256, 128)
    assert (last.in_features, last.out_features) == (128, 5)


def test_only_the_first_convolution_changes_the_length_by_one():
    model = FcnWang(width=1 / 32).build(INFO, generator())
    assert model.features(torch.randn(2, 12, 250)).shape == (2, 4, 249)


def test_the_head_sees_the_highest_and_the_mean_of_each_channel():
    model = FcnWang(width=1 / 32).build(INFO, generator()).eval()
    inputs = torch.randn(3, 12, 250)
    features = model.features(inputs)
    expected = model.head(torch.cat([features.amax(2), features.mean(2)], dim=1))
    torch.testing.assert_close(model(inputs), expected)


def test_it_takes_windows_of_any_length_from_two():
    for length in (2, 3, 50):
        model = FcnWang(width=1 / 32).build(series(length), generator()).eval()
        assert model(torch.randn(2, 3, length)).shape == (2, 4)


def test_no_dropout_layer_where_nothing_is_dropped():
    model = FcnWang(width=1 / 32, dropout=0.0).build(INFO, generator())
    assert not any(isinstance(layer, nn.Dropout) for layer in model.modules())


def test_kaiming_weights_have_the_standard_deviation_of_he_and_no_bias():
    model = FcnWang().build(INFO, generator())
    for layer in model.modules():
        if isinstance(layer, nn.Conv1d | nn.Linear):
            weight = layer.weight.detach()
            tolerance = 5 / (2 * weight.numel()) ** 0.5
            expected = (2 / weight[0].numel()) ** 0.5
            assert float(weight.std()) == pytest.approx(expected, rel=tolerance)
            assert layer.bias is None or (layer.bias == 0).all()


def test_a_training_batch_of_one_uses_what_was_learned_and_changes_nothing_of_it():
    model = FcnWang(width=1 / 32, dropout=0.0).build(INFO, generator())
    model.head(torch.randn(8, 8))
    before = {key: value.clone() for key, value in model.head.state_dict().items()}
    one = torch.randn(1, 8)
    in_training = model.train().head(one)
    assert torch.equal(in_training, model.eval().head(one))
    in_training.sum().backward()
    assert model.head[0].weight.grad is not None
    assert all(torch.equal(value, before[key]) for key, value in model.head.state_dict().items())
    assert model.train()(torch.randn(1, 12, 250)).isfinite().all()


def test_a_training_batch_of_more_is_normalized_by_its_own_statistics():
    model = FcnWang(width=1 / 32, dropout=0.0).build(INFO, generator()).train()
    pooled = 3 + 5 * torch.randn(6, 8)
    expected = functional.batch_norm(pooled, None, None, training=True)
    torch.testing.assert_close(model.head[0](pooled), expected)
    assert (model.head[0].running_mean != 0).all()


def test_relevance_is_conserved_without_biases_and_shifts():
    model = FcnWang(width=1 / 8, batch_norm=False).build(INFO, generator()).double()
    inputs = torch.randn(3, 12, 250, dtype=torch.float64)
    target = torch.tensor([0, 3, 1])
    relevance = epsilon_lrp(model, inputs, target, epsilon=0.0)
    expected = model.eval()(inputs)[torch.arange(3), target].detach()
    torch.testing.assert_close(relevance.sum((1, 2)), expected)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: FcnWang().build(Digits().info, generator()),
            "fcn_wang takes series of at least 2 points in time, but the dataset gives samples "
            "of domain 'image' and shape (1, 28, 28); choose another model.",
        ),
        (
            lambda: FcnWang().build(series(1), generator()),
            "fcn_wang takes series of at least 2 points in time, but the dataset gives samples "
            "of domain 'series' and shape (3, 1); choose another model.",
        ),
    ],
)
def test_what_it_cannot_be_or_take_is_refused(build, message):
    with pytest.raises(ConfigError) as caught:
        build()
    assert str(caught.value) == message
