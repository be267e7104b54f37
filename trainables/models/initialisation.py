"""The first weights of a network, drawn from one generator."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import nn

Initialisation: TypeAlias = Literal["kaiming", "default"]

_WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Linear)
_NORM = (nn.BatchNorm1d, nn.BatchNorm2d)


def initialise(model: nn.Module, how: Initialisation, generator: torch.Generator) -> None:
    """Draw all weights anew from one generator.

    Args:
        model: Network to initialise, on the CPU.
        how: ``kaiming`` draws weights from the normal distribution of He et al. (fan in) and
            sets biases to 0; ``default`` is what torch does.
        generator: Source of the weights.
    """
    # torch's own initialisers know the global generator alone.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        for layer in model.modules():
            if isinstance(layer, _WEIGHTED + _NORM):
                layer.reset_parameters()
            if how == "kaiming" and isinstance(layer, _WEIGHTED):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
