"""Small networks and configurations for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainables.config import FromBase, Scratch, TrainingConfig, TrialConfig
from trainables.datasets import Digits, Splits
from trainables.loop import ReplicaReport, train_by_epoch
from trainables.methods import METHODS
from trainables.models import Vgg11
from trainables.optimizers import Adam
from trainables.replica_group import ReplicaState


class ConvNet(nn.Module):
    """Two convolutions with a max pool and two linear layers, for 8 × 8 inputs."""

    def __init__(self, *, bias: bool = True, batch_norm: bool = False) -> None:
        """Lay the layers out."""
        super().__init__()
        norm = [nn.BatchNorm2d(4)] if batch_norm else []
        self.features = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, bias=bias),
            *norm,
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3, bias=bias),
            nn.ReLU(),
        )
        self.head = nn.Sequential(
            nn.Linear(24, 7, bias=bias), nn.ReLU(), nn.Dropout(0.5), nn.Linear(7, 5, bias=bias)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute the logits."""
        return self.head(self.features(inputs).flatten(1))


def conv_net(*, bias: bool = True, batch_norm: bool = False) -> ConvNet:
    """Build a float64 ConvNet whose biases and batch statistics are anything but neutral."""
    model = ConvNet(bias=bias, batch_norm=batch_norm).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
        elif isinstance(module, nn.Conv2d | nn.Linear) and bias:
            nn.init.uniform_(module.bias, -0.3, 0.3)
    return model


def conv_inputs(count: int = 6) -> Tensor:
    """Draw inputs for a ConvNet."""
    return torch.randn(count, 2, 8, 8, dtype=torch.float64)


class Flat(nn.Module):
    """A linear classifier without bias: its relevances can be read off its weights."""

    def __init__(self, weight: Tensor) -> None:
        """Take the weights (classes, features)."""
        super().__init__()
        self.linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        self.linear.weight = nn.Parameter(weight.clone())

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute the logits."""
        return self.linear(inputs.flatten(1))


def trial(method: str = "base", **changes: object) -> TrialConfig:
    """Configure a trial of seconds: 20 real digits, three batches an epoch, a narrow VGG.

    Batch norm and dropout are on, and the last batch of an epoch is smaller than the others.
    """
    start_from = FromBase(epochs=1) if method == "base_finetune" else Scratch()
    settings: dict[str, Any] = {
        "dataset": Digits(train_per_class=2, val_size=20, test_size=20),
        "model": Vgg11(width=1 / 32, batch_norm=True, dropout=0.3),
        "method": METHODS[method](),
        "training": TrainingConfig(
            epochs=5,
            batch_size=8,
            optimizer=Adam(lr=1e-3),
            start_from=start_from,
            eval_every=2,
            checkpoint_every_s=0.0,
        ),
        "seeds": (1, 2),
    }
    return TrialConfig(**{**settings, **changes})


def message(error: type[Exception], call: Callable[[], object]) -> str:
    """Return the message of the error that a call raises."""
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


def train(config: TrialConfig, data: Splits, state: ReplicaState) -> Iterator[ReplicaReport]:
    """Train to the last epoch and yield a report at every evaluation."""
    return (report for report in train_by_epoch(config, data, state) if report is not None)
