"""Optimizers and learning-rate schedules as settings."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch

from trainables.checks import require


@dataclass(frozen=True, slots=True, kw_only=True)
class Adam:
    """Adam, as the paper trains (section 4); ``weight_decay`` is added to the gradient."""

    name: ClassVar[str] = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check(self.lr, self.weight_decay)

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Make the optimizer of some parameters."""
        return torch.optim.Adam(parameters, lr=self.lr, weight_decay=self.weight_decay)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019)."""

    name: ClassVar[str] = "adamw"
    lr: float = 1e-3
    weight_decay: float = 1e-2

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check(self.lr, self.weight_decay)

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Make the optimizer of some parameters."""
        return torch.optim.AdamW(parameters, lr=self.lr, weight_decay=self.weight_decay)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sgd:
    """Stochastic gradient descent with momentum."""

    name: ClassVar[str] = "sgd"
    lr: float = 1e-2
    momentum: float = 0.9
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check(self.lr, self.weight_decay)
        require(0 <= self.momentum < 1, "momentum", "must lie in [0, 1)", self.momentum)

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Make the optimizer of some parameters."""
        return torch.optim.SGD(
            parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay
        )


OptimizerConfig: TypeAlias = Adam | AdamW | Sgd


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """The optimizer's learning rate from the first step to the last, as in the paper."""

    name: ClassVar[str] = "constant"

    def factor(self, progress: float) -> float:
        """Give the learning rate as a multiple of the optimizer's."""
        del progress
        return 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OneCycle:
    """Up to the optimizer's learning rate and down again, both along half a cosine.

    The PTB-XL benchmark trains like this. The momentum stays as it is.

    Attributes:
        warm_up: Share of the steps on the way up, in (0, 1).
        start_divisor: Peak divided by the learning rate of the first step.
        end_divisor: Learning rate of the first step divided by that of the last.

    References:
        Smith and Topin, arXiv:1708.07120; the shape and defaults of torch's ``OneCycleLR``.
    """

    name: ClassVar[str] = "one_cycle"
    warm_up: float = 0.3
    start_divisor: float = 25.0
    end_divisor: float = 1e4

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(0 < self.warm_up < 1, "warm_up", "must lie in (0, 1)", self.warm_up)
        for field in ("start_divisor", "end_divisor"):
            value = getattr(self, field)
            require(value >= 1, field, "must be at least 1", value)

    def factor(self, progress: float) -> float:
        """Give the learning rate as a multiple of the peak.

        Args:
            progress: 0 at the first step of a training, 1 at the last.
        """
        first = 1 / self.start_divisor
        if progress <= self.warm_up:
            return _half_cosine(first, 1.0, progress / self.warm_up)
        down = (progress - self.warm_up) / (1 - self.warm_up)
        return _half_cosine(1.0, first / self.end_divisor, down)


ScheduleConfig: TypeAlias = Constant | OneCycle


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _check(lr: float, weight_decay: float) -> None:
    require(lr > 0, "lr", "must be above 0", lr)
    require(weight_decay >= 0, "weight_decay", "must be 0 or more", weight_decay)
