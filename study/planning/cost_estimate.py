"""What a study trains and how long that takes, before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from study.config.study_spec import StudySpec
from study.planning.step_cost import measure_memory, measure_seconds
from study.records.errors import SpecError
from trainables.config import TrainingConfig, TrialConfig
from trainables.datasets import DataFolders, DatasetConfig
from trainables.models import ModelConfig

# A training step takes three forward passes' operations: forwards, and backwards to inputs and
# weights.
_PASSES_PER_STEP = 3
# What one modern GPU sustains in float32 on these networks, and the least time of a step, in which
# its kernels are launched one by one. An assumption, stated beside every figure.
GPU_OPERATIONS_PER_S = 2e13
GPU_STEP_S = 4e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Training steps of one configuration.

    Attributes:
        arm: Name of the arm, or what Base models are trained for.
        trials: Number of search and of final trials; none for Base models.
        trainings: Replicas of them.
        config: One of the configurations, of which all take as long.
        steps: Training steps.
        batch_size: Samples of a step.
    """

    arm: str
    trials: tuple[int, int]
    trainings: int
    config: TrialConfig
    steps: int
    batch_size: int

    @property
    def operations(self) -> float:
        """Floating-point operations."""
        return self.steps * self.config.method.passes * _operations(self.config, self.batch_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkCost:
    """The cost of some work, at most: schedulers stop trials earlier.

    Attributes:
        hours: Hours of one trial at a time, without evaluations.
    """

    work: Work
    hours: float

    @property
    def memory_bytes(self) -> int:
        """Memory of one replica's training step, without data and libraries."""
        return _memory(self.work.config, self.work.batch_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """The cost of a study.

    Attributes:
        parts: By arm, and Base models that arms start from.
        device: ``GPU`` by a stated assumption, or ``CPU`` by steps that were timed here.
    """

    parts: tuple[WorkCost, ...]
    device: str

    @property
    def trials(self) -> int:
        """Search and final trials."""
        return sum(sum(part.work.trials) for part in self.parts)

    @property
    def trainings(self) -> int:
        """Replicas of all trials, and Base models to start from."""
        return sum(part.work.trainings for part in self.parts)

    @property
    def steps(self) -> float:
        """Training steps, those of a method with more passes counted as several."""
        return sum(part.work.steps * part.work.config.method.passes for part in self.parts)

    @property
    def operations(self) -> float:
        """Floating-point operations."""
        return sum(part.work.operations for part in self.parts)

    @property
    def hours(self) -> float:
        """Hours of one trial at a time."""
        return sum(part.hours for part in self.parts)


def estimate_cost(spec: StudySpec, data: DataFolders | None = None) -> CostEstimate:
    """Estimate the cost of a study.

    A step of each kind is measured here on a CPU, with the method, on random samples. Evaluations
    are not counted.

    Args:
        spec: The study.
        data: Folders of data, which are read where the size of a training set is not known
            before; None to read nothing.

    Raises:
        SpecError: If a size is known only after reading, and nothing is to be read.
        DataError: If the data cannot be read.
    """
    is_gpu = spec.resources.gpus > 0
    return CostEstimate(
        parts=tuple(
            _cost(work, spec.resources.cpus, is_gpu=is_gpu) for work in _all_work(spec, data)
        ),
        device="GPU" if is_gpu else "CPU",
    )


def _cost(work: Work, cpus: int, *, is_gpu: bool) -> WorkCost:
    if is_gpu:
        least_s = GPU_STEP_S * work.config.method.passes
        step_s = max(least_s, work.operations / work.steps / GPU_OPERATIONS_PER_S)
    else:
        step_s = _seconds(work.config, work.batch_size, cpus)
    return WorkCost(work=work, hours=work.steps * step_s / 3600)


def _all_work(spec: StudySpec, data: DataFolders | None) -> Iterator[Work]:
    for arm in spec.arms:
        size = _training_size(arm.dataset, data)
        trials = (arm.search_budget, spec.final_budget(arm))
        trainings = trials[0] * arm.replicas.search + trials[1] * arm.replicas.final
        yield Work(
            arm=arm.name,
            trials=trials,
            trainings=trainings,
            config=arm.trial_config(arm.example_point(), (0,), is_final=False),
            steps=trainings * _steps(size, arm.training),
            batch_size=min(size, arm.training.batch_size),
        )
    for (dataset, _, training), (config, seeds) in _bases(spec).items():
        size = _training_size(dataset, data)
        yield Work(
            arm=f"Base models on {dataset.name}",
            trials=(0, 0),
            trainings=seeds,
            config=config,
            steps=seeds * _steps(size, training),
            batch_size=min(size, training.batch_size),
        )


def _bases(
    spec: StudySpec,
) -> Mapping[tuple[DatasetConfig, ModelConfig, TrainingConfig], tuple[TrialConfig, int]]:
    # Trained once per seed, for all arms that start from the same one.
    found: dict[tuple[DatasetConfig, ModelConfig, TrainingConfig], tuple[TrialConfig, int]] = {}
    for arm in spec.arms:
        config = arm.trial_config(arm.example_point(), (0,), is_final=False).base
        if config is not None:
            seeds = arm.replicas.final + (arm.replicas.search if arm.search_budget else 0)
            key = (arm.dataset, arm.model, config.training)
            found[key] = (config, max(found.get(key, (config, 0))[1], seeds))
    return found


def _steps(size: int, training: TrainingConfig) -> int:
    return training.epochs * math.ceil(size / training.batch_size)


def _training_size(dataset: DatasetConfig, data: DataFolders | None) -> int:
    if dataset.training_size is not None:
        return dataset.training_size
    if data is None:
        raise SpecError(
            f"dataset {dataset.name!r} must have a stated number of training samples, but is read "
            "to count them; set its train_size or train_per_class."
        )
    return _counted(dataset, data)


@lru_cache(maxsize=20)
def _counted(dataset: DatasetConfig, data: DataFolders) -> int:
    return len(dataset.load(data, 0).train)


@lru_cache(maxsize=200)
def _seconds(config: TrialConfig, batch_size: int, n_threads: int) -> float:
    return measure_seconds(config, batch_size, n_threads)


@lru_cache(maxsize=200)
def _memory(config: TrialConfig, batch_size: int) -> int:
    return measure_memory(config, batch_size)


@lru_cache(maxsize=200)
def _operations(config: TrialConfig, batch_size: int) -> float:
    info = config.dataset.info
    network = config.model.build(info, torch.Generator().manual_seed(0)).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros((1, *info.input_shape)))
    return float(counter.get_total_flops() * batch_size * _PASSES_PER_STEP)
