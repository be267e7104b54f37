"""Width scaling and weight initialization of all models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

import torch
from torch import nn


def scale_channels(channels: int, width: float) -> int:
    """Scale a number of channels or hidden units to at least one.

    Example:
        >>> scale_channels(128, 1 / 8), scale_channels(4, 1 / 64)
        (16, 1)
    """
    return max(1, round(channels * width))


Initialization: TypeAlias = Literal["kaiming", "torch"]

_WEIGHT_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)
_NORM_LAYERS = (nn.BatchNorm1d, nn.BatchNorm2d)


@contextmanager
def seeded_build(generator: torch.Generator) -> Iterator[None]:
    """Seed torch's global generator from another one, for layers that draw from it alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        yield


def initialize(model: nn.Module, scheme: Initialization, generator: torch.Generator) -> None:
    """Draw all weights of a network on the CPU from one generator.

    ``kaiming`` draws weights from the normal distribution of He et al. (fan in) and sets biases
    to 0; ``torch`` is torch's default.
    """
    with seeded_build(generator):
        for layer in model.modules():
            if isinstance(layer, _WEIGHT_LAYERS + _NORM_LAYERS):
                layer.reset_parameters()
            if scheme == "kaiming" and isinstance(layer, _WEIGHT_LAYERS):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
