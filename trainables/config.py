"""The resolved settings of one trial: everything that its result depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import torch

from trainables.checks import require
from trainables.datasets import DatasetConfig
from trainables.decoding import encode
from trainables.errors import ConfigError
from trainables.methods import MethodConfig
from trainables.models import ModelConfig
from trainables.seeding import stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Adam:
    """Adam with a constant learning rate, as the paper trains (section 4)."""

    name: ClassVar[str] = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.lr > 0, "lr", "must be above 0", self.lr)
        require(self.weight_decay >= 0, "weight_decay", "must be 0 or more", self.weight_decay)

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Make the optimiser of some parameters."""
        return torch.optim.Adam(parameters, lr=self.lr, weight_decay=self.weight_decay)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sgd:
    """Stochastic gradient descent with momentum."""

    name: ClassVar[str] = "sgd"
    lr: float = 1e-2
    momentum: float = 0.9
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.lr > 0, "lr", "must be above 0", self.lr)
        require(0 <= self.momentum < 1, "momentum", "must lie in [0, 1)", self.momentum)
        require(self.weight_decay >= 0, "weight_decay", "must be 0 or more", self.weight_decay)

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Make the optimiser of some parameters."""
        return torch.optim.SGD(
            parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay
        )


OptimiserConfig: TypeAlias = Adam | Sgd


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """How long and how a model is trained.

    Attributes:
        epochs: Full budget of a trial.
        batch_size: Samples per step; the last batch of an epoch may be smaller.
        optimiser: Optimiser and its settings.
        start_from: ``scratch`` trains a freshly initialised model.
        eval_every: Epochs between two evaluations; there is one after the last epoch too.
        checkpoint_every_s: Seconds between two checkpoints; 0 for one per epoch. None is written
            after the last epoch, whose report ends the trial.
    """

    epochs: int = 100
    batch_size: int = 30
    optimiser: OptimiserConfig = Adam()
    start_from: Literal["scratch"] = "scratch"
    eval_every: int = 10
    checkpoint_every_s: float = 60.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.epochs >= 1, "epochs", "must be at least 1", self.epochs)
        require(self.batch_size >= 1, "batch_size", "must be at least 1", self.batch_size)
        require(self.eval_every >= 1, "eval_every", "must be at least 1", self.eval_every)
        every = self.checkpoint_every_s
        require(every >= 0, "checkpoint_every_s", "must be 0 or more", every)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialConfig:
    """One point of a search space under given seeds.

    Attributes:
        dataset: Data and its splits.
        model: Architecture.
        method: How batches are changed before a step, with the trial's parameters in it.
        training: Budget and optimiser.
        seeds: One seed per replica; each gives initialisation, shuffling and challenge.
        is_final: Whether the test split is evaluated, after the last epoch, and attribution
            maps are kept. False during a search, which must never see the test split.
    """

    dataset: DatasetConfig
    model: ModelConfig
    method: MethodConfig
    training: TrainingConfig
    seeds: tuple[int, ...]
    is_final: bool = False

    def __post_init__(self) -> None:
        """Check what the parts must hold together."""
        require(len(self.seeds) >= 1, "seeds", "must name at least one replica", self.seeds)
        unique = len(set(self.seeds)) == len(self.seeds)
        require(unique, "seeds", "must differ from replica to replica", self.seeds)
        try:
            self.method.check(self.dataset.info)
        except ConfigError as error:
            raise ConfigError(f"method.{error}") from None

    def check_model(self) -> None:
        """Build the model once, and ask the method's attribution whether it can explain it.

        Costs the making of a network and a few passes over one sample of zeros.

        Raises:
            ConfigError: If the model cannot take the dataset, or the attribution not the model.
        """
        info = self.dataset.info
        try:
            model = self.model.build(info, stream(0, "check"))
        except ConfigError as error:
            raise ConfigError(f"model: {error}") from None
        attribution = getattr(self.method, "attribution", None)
        if attribution is not None:
            try:
                attribution.check(model, torch.zeros(1, *info.input_shape))
            except ConfigError as error:
                raise ConfigError(f"method.{error}") from None

    def hash(self) -> str:
        """Identify the configuration: 16 hexadecimal digits of its sorted JSON."""
        text = json.dumps(encode(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
