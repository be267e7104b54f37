"""The resolved settings of one trial: everything that its result depends on."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, TypeAlias

import torch
from pydantic import Field

from trainables.datasets import DatasetConfig
from trainables.decoding import encode, record, shown
from trainables.errors import ConfigError
from trainables.fields import Count, Fixed, OneOf, PositiveShare, Seed, Symbol
from trainables.methods import Base, BaseFinetune, MethodConfig, Mixup
from trainables.models import ModelConfig
from trainables.optimizers import Adam, Constant, OptimizerConfig, ScheduleConfig
from trainables.plugins import used_plugins
from trainables.seeding import stream


@record
class EvaluationConfig:
    """Tests of a trained model after its last epoch, without effect on its training.

    Attributes:
        occlusion: Hidden fractions of a sample's positions, each in (0, 1] and in increasing
            order; empty for no occlusion test.
        bootstrap_resamples: Resamples of the test samples per interval; 0 for no intervals.
        object_relevance: Whether the share of the relevance that lies inside the object is
            measured; for data that know their object's pixels, as ``digits`` and ``mnist``.
    """

    occlusion: Annotated[tuple[PositiveShare, ...], Field(max_length=100)] = ()
    bootstrap_resamples: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    object_relevance: bool = False

    def __post_init__(self) -> None:
        """Check that the shares increase."""
        if not all(a < b for a, b in itertools.pairwise(self.occlusion)):
            raise ConfigError(
                f"occlusion must increase from share to share, got {shown(self.occlusion)}."
            )


@record
class Scratch:
    """Start from freshly initialized weights."""

    name: ClassVar[str] = "scratch"


@record
class FromBase:
    """Start from a trained Base model, none of whose weights are frozen.

    It is trained once per dataset, model and replica seed, with the batch size, optimizer and
    schedule of the trial, and is shared by all trials of all arms for which these are the same.

    Attributes:
        epochs: Epochs of the Base model; None for as many as the trial itself has.
        mixup: MixUp in the training of the Base model, for arms that use it too, or None.
    """

    name: ClassVar[str] = "base"
    epochs: Count | None = None
    mixup: Mixup | None = None


STARTS: dict[str, type[Scratch | FromBase]] = {kind.name: kind for kind in (Scratch, FromBase)}
StartConfig: TypeAlias = Annotated[Scratch | FromBase, OneOf(STARTS)]
# Trials of an arm are compared, and stopped, epoch by epoch.
_BUDGET = Fixed("all trials of an arm have the same budget")
Precision: TypeAlias = Literal["float32", "bfloat16"]


@record
class TrainingConfig:
    """Budget, optimizer and evaluations of a training.

    Attributes:
        epochs: Epochs of a trial.
        batch_size: Samples per step; the last batch of an epoch may be smaller.
        optimizer: Optimizer and its settings.
        schedule: Learning rate over the steps; constant in the paper.
        start_from: ``scratch``, or ``base`` to fine-tune a trained Base model.
        precision: Precision of a step's passes; ``bfloat16`` is torch's automatic mixed
            precision. Weights, losses, attributions and evaluations are ``float32`` in either.
        eval_every: Epochs between two evaluations; the last epoch is always evaluated.
        checkpoint_every_s: Seconds between two checkpoints; 0 for one per epoch. None is written
            after the last epoch.
    """

    epochs: Annotated[Count, _BUDGET] = 100
    batch_size: Annotated[Count, Symbol("batch size", "Batch size")] = 30
    optimizer: OptimizerConfig = Adam()
    schedule: ScheduleConfig = Constant()
    start_from: Annotated[StartConfig, _BUDGET] = Scratch()
    precision: Precision = "float32"
    eval_every: Annotated[Count, _BUDGET] = 10
    checkpoint_every_s: Annotated[float, Field(ge=0, le=1e9), _BUDGET] = 60.0

    @property
    def base(self) -> TrainingConfig | None:
        """Training of the Base model from which this one starts, if any."""
        if not isinstance(self.start_from, FromBase):
            return None
        epochs = self.start_from.epochs or self.epochs
        return replace(self, epochs=epochs, eval_every=epochs, start_from=Scratch())


@record
class TrialConfig:
    """One point of a search space under given seeds.

    Attributes:
        dataset: Data and its splits.
        model: Architecture.
        method: Change of batches before a step, with the trial's parameters.
        training: Budget and optimizer.
        seeds: One seed per replica, for initialization, shuffling and challenge.
        is_final: Whether the test split is evaluated after the last epoch, and attribution maps
            are stored. False during a search, which must never use the test split.
        evaluation: Further tests on the test split.
    """

    dataset: DatasetConfig
    model: ModelConfig
    method: MethodConfig
    training: TrainingConfig
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, max_length=1000)]
    is_final: bool = False
    evaluation: EvaluationConfig = EvaluationConfig()

    def __post_init__(self) -> None:
        """Check the parts against each other."""
        if len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(
                f"seeds must differ from replica to replica, got {shown(self.seeds)}."
            )
        self._check_start()
        if self.evaluation.object_relevance and not self.dataset.info.has_object_mask:
            raise ConfigError(
                "evaluation.object_relevance must be false for data that do not know which pixels "
                f"show the object, got true with dataset {self.dataset.name!r}."
            )
        try:
            self.method.check(self.dataset.info)
        except ConfigError as error:
            raise ConfigError(f"method.{error}") from None

    @property
    def base(self) -> TrialConfig | None:
        """Trial of the Base model from which this one starts, if any."""
        training = self.training.base
        if training is None:
            return None
        start = self.training.start_from
        mixup = start.mixup if isinstance(start, FromBase) else None
        return replace(self, method=mixup or Base(), training=training, is_final=False)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of legal settings."""
        reason = self.method.idle_reason(self.training.batch_size)
        return () if reason is None else (f"method {self.method.name}: {reason}.",)

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
        """Build the model, and check that it fits the dataset and the method's attribution.

        Costs a new network and a few passes over one sample of zeros.

        Raises:
            ConfigError: If one of them does not fit.
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
        """Return the first 16 hexadecimal digits of the SHA-256 of the sorted JSON.

        The content of the files that the model depends on, and of the plug-ins whose parts it
        names, is part of it.
        """
        facts = {"content": self.model.content, "plugins": used_plugins(self)}
        settings = {**encode(self), **{key: value for key, value in facts.items() if value}}
        text = json.dumps(settings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
