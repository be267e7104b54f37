from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.trainables.builders import ConvNet, Flat, trial
from trainables.attribution import epsilon_lrp
from trainables.config import EvaluationConfig
from trainables.datasets import Cifar10, Digits
from trainables.datasets.samples import PixelSamples, PixelScale
from trainables.errors import ConfigError
from trainables.object_relevance import object_relevance

ALL = torch.arange(3)


def images(*, object_from: int | None = 128) -> PixelSamples:
    """Three images of two by two pixels: ink left, at the lower right, and everywhere."""
    pixels = torch.tensor([[255, 10, 128, 127], [0, 0, 0, 200], [255, 255, 255, 255]])
    return PixelSamples(
        pixels=pixels.to(torch.uint8).reshape(3, 1, 2, 2),
        targets=torch.tensor([0, 0, 1]),
        scale=PixelScale.unit(),
        object_from=object_from,
    )


def test_pixels_from_half_of_white_show_the_object() -> None:
    mask = images().object_mask(ALL)
    assert mask is not None
    assert mask.flatten(1).tolist() == [
        [True, False, True, False],
        [False, False, False, True],
        [True] * 4,
    ]
    assert images(object_from=None).object_mask(ALL) is None
    moved = images().take(torch.tensor([1])).to(torch.device("cpu")).object_mask(torch.tensor([0]))
    assert moved is not None
    assert moved.sum() == 1


def test_the_share_is_that_of_the_positive_relevance() -> None:
    # Of a linear model the relevance is weight times input.
    weights = torch.tensor([[1.0, 1.0, -9.0, 1.0], [-1.0, 0.0, 0.0, 0.0]])
    model = Flat(weights)
    samples = images()
    inputs = samples.inputs.flatten(1)
    first = inputs[0, 0] / (inputs[0, 0] + inputs[0, 1] + inputs[0, 3])
    # All of the second lies on its only ink, and the third's relevance is nowhere positive.
    expected = float((first + 1.0 + 0.0) / 3)
    assert object_relevance(model, samples) == pytest.approx(expected, rel=1e-6)


def test_relevances_are_summed_over_channels_and_the_mode_is_restored() -> None:
    model = ConvNet().train()
    pixels = torch.randint(0, 256, (5, 2, 8, 8), generator=torch.Generator().manual_seed(0))
    samples = PixelSamples(
        pixels=pixels.to(torch.uint8),
        targets=torch.tensor([0, 1, 2, 0, 1]),
        scale=PixelScale.unit(),
        object_from=230,
    )
    relevance = epsilon_lrp(model, samples.inputs, samples.targets).sum(1).clamp(min=0)
    inside = relevance * (pixels >= 230).any(1)
    expected = (inside.sum((1, 2)) / relevance.sum((1, 2))).mean()
    assert object_relevance(model, samples) == pytest.approx(float(expected), rel=1e-5)
    assert all(module.training for module in model.modules() if not isinstance(module, nn.Flatten))


def test_data_without_a_mask_are_refused_at_the_start() -> None:
    with pytest.raises(ConfigError, match="must be false for data that do not know which pixels"):
        trial(dataset=Cifar10(), evaluation=EvaluationConfig(object_relevance=True))
    with pytest.raises(ConfigError, match="needs test images that know"):
        object_relevance(Flat(torch.ones(2, 4)), images(object_from=None))


def test_it_is_measured_on_digits(folders) -> None:
    from trainables.final_evaluation import evaluate_final
    from trainables.models import Vgg11

    dataset = Digits(train_per_class=1, val_size=10, test_size=20)
    data = dataset.load(folders, 0)
    model = Vgg11(width=0.0625).build(dataset.info, torch.Generator().manual_seed(0))
    found = evaluate_final(EvaluationConfig(object_relevance=True), model, data, 1)
    assert 0 < found["test/object_relevance"] < 1
    assert "test/object_relevance" not in evaluate_final(EvaluationConfig(), model, data, 1)
