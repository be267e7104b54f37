from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models.vgg import cfgs

from trainables.datasets import DatasetInfo, Digits
from trainables.errors import ConfigError
from trainables.models import Vgg11, Vgg16, vgg

INFO = Digits().info


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def parameter_count(convolutions: list[int], hidden: int, channels: int = 1) -> int:
    """Count by hand: 3 × 3 filters and a bias each, then hidden → hidden → 10."""
    total = 0
    for outputs in convolutions:
        total += channels * 9 * outputs + outputs
        channels = outputs
    return total + hidden * hidden + hidden + hidden * 10 + 10


A = [64, 128, 256, 256, 512, 512, 512, 512]
D = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        (Vgg11(), parameter_count(A, 512)),
        (Vgg16(), parameter_count(D, 512)),
        (Vgg11(width=1 / 8), parameter_count([n // 8 for n in A], 64)),
        # A batch norm adds a factor and a shift per channel.
        (Vgg11(width=1 / 8, batch_norm=True), parameter_count([n // 8 for n in A], 64) + 688),
        (Vgg11(width=1 / 8, dropout=0.5), parameter_count([n // 8 for n in A], 64)),
    ],
    ids=["vgg11", "vgg16", "narrow", "batch norm", "dropout"],
)
def test_it_has_the_published_number_of_parameters_times_the_width(settings, count):
    model = settings.build(INFO, generator())
    assert sum(parameter.numel() for parameter in model.parameters()) == count


def test_its_layers_are_those_of_torchvision():
    for settings in (Vgg11, Vgg16):
        assert list(vgg._LAYOUTS[settings.layout]) == cfgs[settings.layout]


def test_the_smallest_width_keeps_a_channel_in_every_layer():
    model = Vgg11(width=1 / 64).build(INFO, generator())
    assert [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)] == [
        max(1, n // 64) for n in A
    ]


def test_28_pixels_are_padded_to_32_with_the_background():
    model = Vgg11(width=1 / 64).build(INFO, generator())
    seen = []
    model.features.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    inputs = torch.randn(2, 1, 28, 28)
    model(inputs)
    (padded,) = seen
    assert padded.shape == (2, 1, 32, 32)
    assert torch.equal(padded[:, :, 2:-2, 2:-2], inputs)
    padded[:, :, 2:-2, 2:-2] = INFO.background
    assert (padded == INFO.background).all()
    assert pytest.approx(-0.1307 / 0.3081) == INFO.background


def test_odd_sizes_are_padded_with_the_larger_half_at_the_end():
    info = DatasetInfo(n_classes=3, input_shape=(2, 27, 25), domain="image", background=1.5)
    model = Vgg11(width=1 / 64).build(info, generator())
    seen = []
    model.features.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    model(torch.zeros(1, 2, 27, 25))
    is_padding = seen[0][0, 0] == 1.5
    assert is_padding[:, 16].tolist() == [True] * 2 + [False] * 27 + [True] * 3
    assert is_padding[16].tolist() == [True] * 3 + [False] * 25 + [True] * 4


def test_kaiming_weights_have_the_standard_deviation_of_he_and_no_bias():
    model = Vgg11(width=1 / 2).build(INFO, generator())
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            weight = layer.weight.detach()
            expected = (2 / weight[0].numel()) ** 0.5
            # The standard deviation of an estimate from n draws is 1 / √(2n) of it; five of them.
            tolerance = 5 / (2 * weight.numel()) ** 0.5
            assert float(weight.std()) == pytest.approx(expected, rel=tolerance)
            assert (layer.bias == 0).all()


def test_default_weights_are_torchs_uniform_ones():
    model = Vgg11(width=1 / 4, initialization="torch").build(INFO, generator())
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            weight = layer.weight.detach()
            bound = weight[0].numel() ** -0.5
            assert weight.abs().max() <= bound
            assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.1)
            assert (layer.bias != 0).any()


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_there_is_a_dropout_layer_only_where_something_is_dropped(dropout):
    model = Vgg11(width=1 / 64, dropout=dropout).build(INFO, generator())
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [dropout][: dropout > 0]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: Vgg11().build(
                DatasetInfo(n_classes=2, input_shape=(3, 33, 32), domain="image", background=0.0),
                generator(),
            ),
            "VGG takes images of at most 32 × 32, but the dataset gives samples of shape "
            "(3, 33, 32); choose another model.",
        ),
        (
            lambda: Vgg11().build(
                DatasetInfo(n_classes=2, input_shape=(12, 250), domain="series", background=0.0),
                generator(),
            ),
            "VGG takes images of at most 32 × 32, but the dataset gives samples of shape "
            "(12, 250); choose another model.",
        ),
    ],
)
def test_what_it_cannot_be_or_take_is_refused(build, message):
    with pytest.raises(ConfigError) as caught:
        build()
    assert str(caught.value) == message
