"""Optimizers and learning-rate schedules as settings."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Annotated, ClassVar, TypeAlias

import torch
from pydantic import Field

from trainables.decoding import record
from trainables.fields import InnerShare, OneOf, Symbol

LearningRate: TypeAlias = Annotated[
    float, Field(gt=0, le=1000), Symbol("learning rate", "Learning rate")
]
WeightDecay: TypeAlias = Annotated[
    float, Field(ge=0, le=1000), Symbol("weight decay", "Weight decay")
]


@record
class Optimizer(ABC):
    """The base class of optimizers.

    Attributes:
        lr: Learning rate, > 0.
        weight_decay: Weight decay, ≥ 0.
    """

    name: ClassVar[str]
    lr: LearningRate = 1e-3
    weight_decay: WeightDecay = 0.0

    @abstractmethod
    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimizer of some parameters."""


@record
class Adam(Optimizer):
    """Adam, as the paper trains (section 4); ``weight_decay`` is added to the gradient."""

    name: ClassVar[str] = "adam"

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimizer of some parameters."""
        return torch.optim.Adam(parameters, lr=self.lr, weight_decay=self.weight_decay)


@record
class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019)."""

    name: ClassVar[str] = "adamw"
    weight_decay: WeightDecay = 1e-2

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimizer of some parameters."""
        return torch.optim.AdamW(parameters, lr=self.lr, weight_decay=self.weight_decay)


@record
class Sgd(Optimizer):
    """Stochastic gradient descent with momentum.

    Attributes:
        momentum: In [0, 1).
    """

    name: ClassVar[str] = "sgd"
    lr: LearningRate = 1e-2
    momentum: Annotated[float, Field(ge=0, lt=1), Symbol("momentum", "Momentum")] = 0.9

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimizer of some parameters."""
        return torch.optim.SGD(
            parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay
        )


OPTIMIZERS: dict[str, type[Optimizer]] = {kind.name: kind for kind in (Adam, AdamW, Sgd)}
OptimizerConfig: TypeAlias = Annotated[Optimizer, OneOf(OPTIMIZERS)]


class Schedule(ABC):
    """The base class of learning-rate schedules."""

    __slots__ = ()
    name: ClassVar[str]

    @abstractmethod
    def factor(self, progress: float) -> float:
        """Compute the learning rate as a multiple of the optimizer's.

        Args:
            progress: 0 at the first step of a training, 1 at the last.
        """


@record
class Constant(Schedule):
    """The optimizer's learning rate at every step, as in the paper."""

    name: ClassVar[str] = "constant"

    def factor(self, progress: float) -> float:
        """Return 1."""
        del progress
        return 1.0


@record
class Cosine(Schedule):
    """Decay from the optimizer's learning rate along half a cosine.

    Attributes:
        end_divisor: Learning rate of the first step divided by that of the last.

    References:
        Loshchilov and Hutter, arXiv:1608.03983, without restarts.
    """

    name: ClassVar[str] = "cosine"
    end_divisor: Annotated[float, Field(ge=1, le=1e9)] = 1e5

    def factor(self, progress: float) -> float:
        """Compute the learning rate as a multiple of the first."""
        return _half_cosine(1.0, 1 / self.end_divisor, progress)


@record
class OneCycle(Schedule):
    """Rise to the optimizer's learning rate and decay, each along half a cosine.

    The schedule of the PTB-XL benchmark, with constant momentum.

    Attributes:
        warm_up: Fraction of the steps before the peak, in (0, 1).
        start_divisor: Peak divided by the learning rate of the first step.
        end_divisor: Learning rate of the first step divided by that of the last.

    References:
        Smith and Topin, arXiv:1708.07120; the shape and defaults of torch's ``OneCycleLR``.
    """

    name: ClassVar[str] = "one_cycle"
    warm_up: InnerShare = 0.3
    start_divisor: Annotated[float, Field(ge=1, le=1e9)] = 25.0
    end_divisor: Annotated[float, Field(ge=1, le=1e9)] = 1e4

    def factor(self, progress: float) -> float:
        """Compute the learning rate as a multiple of the peak."""
        first = 1 / self.start_divisor
        if progress <= self.warm_up:
            return _half_cosine(first, 1.0, progress / self.warm_up)
        down = (progress - self.warm_up) / (1 - self.warm_up)
        return _half_cosine(1.0, first / self.end_divisor, down)


SCHEDULES: dict[str, type[Schedule]] = {kind.name: kind for kind in (Constant, Cosine, OneCycle)}
ScheduleConfig: TypeAlias = Annotated[Schedule, OneOf(SCHEDULES)]


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
