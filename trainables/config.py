"""The resolved settings of one trial: everything that its result depends on."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeAlias

import torch

from trainables.checks import require
from trainables.datasets import DatasetConfig
from trainables.decoding import encode
from trainables.errors import ConfigError
from trainables.methods import Base, BaseFinetune, MethodConfig, Mixup
from trainables.models import ModelConfig
from trainables.optimizers import Adam, Constant, OptimizerConfig, ScheduleConfig
from trainables.seeding import stream


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationConfig:
    """Tests that a trained model undergoes once, after its last epoch.

    They change nothing of its training.

    Attributes:
        occlusion: Shares of a sample's positions that are hidden in turn, each in (0, 1] and
            in increasing order; empty for no occlusion test.
        bootstrap_resamples: Draws of test samples behind each interval over them; 0 for no such
            intervals.
    """

    occlusion: tuple[float, ...] = ()
    bootstrap_resamples: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        fractions = self.occlusion
        in_range = all(0 < fraction <= 1 for fraction in fractions)
        require(in_range, "occlusion", "must hold shares in (0, 1]", list(fractions))
        increases = all(a < b for a, b in itertools.pairwise(fractions))
        require(increases, "occlusion", "must increase from share to share", list(fractions))
        n_resamples = self.bootstrap_resamples
        require(n_resamples >= 0, "bootstrap_resamples", "must be 0 or more", n_resamples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """Begin with freshly initialized weights."""

    name: ClassVar[str] = "scratch"


@dataclass(frozen=True, slots=True, kw_only=True)
class FromBase:
    """Begin with a trained Base model; nothing of it is frozen.

    It is trained once per dataset, model and replica seed, with the batch size, optimizer and
    schedule of the trial, and is shared by all trials of all arms for which these are the same.

    Attributes:
        epochs: Epochs of the Base model; None for as many as the trial itself has.
        mixup: MixUp in the training of the Base model, for arms that use it too, or None.
    """

    name: ClassVar[str] = "base"
    epochs: int | None = None
    mixup: Mixup | None = None

    def __post_init__(self) -> None:
        """Check the range."""
        require(
            self.epochs is None or self.epochs >= 1, "epochs", "must be at least 1", self.epochs
        )


StartConfig: TypeAlias = Scratch | FromBase
Precision: TypeAlias = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """How long and how a model is trained.

    Attributes:
        epochs: Full budget of a trial.
        batch_size: Samples per step; the last batch of an epoch may be smaller.
        optimizer: Optimizer and its settings.
        schedule: How the learning rate changes over the steps; constant in the paper.
        start_from: ``scratch``, or ``base`` to fine-tune a trained Base model.
        precision: In what the passes of a step are computed; ``bfloat16`` is torch's automatic
            mixed precision. Weights, losses, attributions and evaluations are ``float32`` in
            either: what a method chooses follows from the weights alone.
        eval_every: Epochs between two evaluations; there is one after the last epoch too.
        checkpoint_every_s: Seconds between two checkpoints; 0 for one per epoch. None is written
            after the last epoch, whose report ends the trial.
    """

    epochs: int = 100
    batch_size: int = 30
    optimizer: OptimizerConfig = Adam()  # noqa: RUF009 (frozen)
    schedule: ScheduleConfig = Constant()  # noqa: RUF009
    start_from: StartConfig = Scratch()
    precision: Precision = "float32"
    eval_every: int = 10
    checkpoint_every_s: float = 60.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.epochs >= 1, "epochs", "must be at least 1", self.epochs)
        require(self.batch_size >= 1, "batch_size", "must be at least 1", self.batch_size)
        require(self.eval_every >= 1, "eval_every", "must be at least 1", self.eval_every)
        every = self.checkpoint_every_s
        require(every >= 0, "checkpoint_every_s", "must be 0 or more", every)

    @property
    def base(self) -> TrainingConfig | None:
        """How the Base model is trained that this training begins with; None for none."""
        if not isinstance(self.start_from, FromBase):
            return None
        epochs = self.start_from.epochs or self.epochs
        return replace(self, epochs=epochs, eval_every=epochs, start_from=Scratch())


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialConfig:
    """One point of a search space under given seeds.

    Attributes:
        dataset: Data and its splits.
        model: Architecture.
        method: How batches are changed before a step, with the trial's parameters in it.
        training: Budget and optimizer.
        seeds: One seed per replica; each gives initialization, shuffling and challenge.
        is_final: Whether the test split is evaluated, after the last epoch, and attribution
            maps are kept. False during a search, which must never see the test split.
        evaluation: What else is then measured on the test split.
    """

    dataset: DatasetConfig
    model: ModelConfig
    method: MethodConfig
    training: TrainingConfig
    seeds: tuple[int, ...]
    is_final: bool = False
    evaluation: EvaluationConfig = EvaluationConfig()

    def __post_init__(self) -> None:
        """Check what the parts must hold together."""
        require(len(self.seeds) >= 1, "seeds", "must name at least one replica", self.seeds)
        unique = len(set(self.seeds)) == len(self.seeds)
        require(unique, "seeds", "must differ from replica to replica", self.seeds)
        self._check_start()
        try:
            self.method.check(self.dataset.info)
        except ConfigError as error:
            raise ConfigError(f"method.{error}") from None

    @property
    def base(self) -> TrialConfig | None:
        """The trial whose weights this one begins with; None if it begins from scratch."""
        training = self.training.base
        if training is None:
            return None
        start = self.training.start_from
        mixup = start.mixup if isinstance(start, FromBase) else None
        return replace(self, method=mixup or Base(), training=training, is_final=False)

    def _check_start(self) -> None:
        is_base = self.training.base is not None
        if is_base and isinstance(self.method, Base):
            raise ConfigError(
                "method 'base' cannot start from 'base', which would train it twice as long as "
                "it says; use 'base_finetune', or give this arm 'start_from: scratch'."
            )
        if not is_base and isinstance(self.method, BaseFinetune):
            raise ConfigError(
                "method 'base_finetune' goes on training a Base model, but start_from is "
                "'scratch'; set 'start_from: base', or use method 'base'."
            )

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
        data = encode(self)
        if self.training.precision == "float32":
            # As before there was another: what was begun then goes on.
            del data["training"]["precision"]
        text = json.dumps(data, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
