"""What a study trains and how long that takes, before anything is trained or any data is read."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from study.config.arm import Arm
from study.config.study_spec import StudySpec
from study.records.errors import SpecError
from study.report.tables import Table, tabulate
from trainables.config import TrainingConfig
from trainables.datasets import DatasetConfig, DatasetInfo
from trainables.models import ModelConfig

# A training step takes three forward passes' operations: forwards, and backwards to inputs and
# weights.
_PASSES_PER_STEP = 3
# What one modern GPU sustains in float32 on these networks, and the least time of a step, in which
# its kernels are launched one by one. An assumption, stated beside every figure.
GPU_OPERATIONS_PER_S = 2e13
GPU_STEP_S = 4e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class StepKind:
    """What a training step's cost depends on."""

    info: DatasetInfo
    model: ModelConfig
    batch_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Training steps of one kind, each of one pass forwards and one backwards over its batch."""

    kind: StepKind
    steps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """The cost of a study, at most: schedulers stop trials earlier.

    Attributes:
        trials: Search and final trials.
        trainings: Replicas of all trials, and Base models to start from.
        steps: Training steps, those of a method with more passes counted as several.
        operations: Floating-point operations.
        hours: Hours on one processor of the kind.
        device: ``GPU`` by a stated assumption, or ``CPU`` by steps that were timed here.
    """

    trials: int
    trainings: int
    steps: float
    operations: float
    hours: float
    device: str


def estimate_cost(spec: StudySpec) -> CostEstimate:
    """Estimate the cost of a study.

    On a CPU one step of each kind is timed, on random inputs; evaluations are not counted.

    Raises:
        SpecError: If the size of a training set is known only after reading it.
    """
    work = list(_all_work(spec))
    is_gpu = spec.resources.gpus > 0
    kinds = {one.kind for one in work}
    operations = {kind: _operations(kind) for kind in kinds}
    if is_gpu:
        step_s = {kind: max(GPU_STEP_S, operations[kind] / GPU_OPERATIONS_PER_S) for kind in kinds}
    else:
        step_s = {kind: _timed_step_s(kind, spec.resources.cpus) for kind in kinds}
    return CostEstimate(
        trials=sum(arm.search_budget + _n_final(spec, arm) for arm in spec.arms),
        trainings=sum(_trainings(spec, arm) for arm in spec.arms) + sum(_bases(spec).values()),
        steps=sum(one.steps for one in work),
        operations=sum(one.steps * operations[one.kind] for one in work),
        hours=sum(one.steps * step_s[one.kind] for one in work) / 3600,
        device="GPU" if is_gpu else "CPU",
    )


def _all_work(spec: StudySpec) -> Iterator[Work]:
    for arm in spec.arms:
        steps = _trainings(spec, arm) * _steps(arm.dataset, arm.training) * arm.method.passes
        yield Work(kind=_kind(arm.dataset, arm.model, arm.training), steps=steps)
    for (dataset, model, training), seeds in _bases(spec).items():
        steps = seeds * _steps(dataset, training)
        yield Work(kind=_kind(dataset, model, training), steps=steps)


def _bases(
    spec: StudySpec,
) -> Mapping[tuple[DatasetConfig, ModelConfig, TrainingConfig], int]:
    # Trained once per seed, for all arms that start from the same one.
    found: dict[tuple[DatasetConfig, ModelConfig, TrainingConfig], int] = {}
    for arm in spec.arms:
        if (training := arm.training.base) is not None:
            seeds = arm.replicas.final + (arm.replicas.search if arm.search_budget else 0)
            key = (arm.dataset, arm.model, training)
            found[key] = max(found.get(key, 0), seeds)
    return found


def _n_final(spec: StudySpec, arm: Arm) -> int:
    return arm.final_budget + len(spec.transfer_sources(arm))


def _trainings(spec: StudySpec, arm: Arm) -> int:
    return arm.search_budget * arm.replicas.search + _n_final(spec, arm) * arm.replicas.final


def _steps(dataset: DatasetConfig, training: TrainingConfig) -> int:
    return training.epochs * math.ceil(_training_size(dataset) / training.batch_size)


def _kind(dataset: DatasetConfig, model: ModelConfig, training: TrainingConfig) -> StepKind:
    batch_size = min(training.batch_size, _training_size(dataset))
    return StepKind(info=dataset.info, model=model, batch_size=batch_size)


def _training_size(dataset: DatasetConfig) -> int:
    if dataset.training_size is None:
        raise SpecError(
            f"dataset {dataset.name!r} must have a stated number of training samples, but is read "
            "to count them; set its train_size or train_per_class."
        )
    return dataset.training_size


@lru_cache(maxsize=200)
def _operations(kind: StepKind) -> float:
    network, inputs = _network(kind, batch_size=1)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(inputs)
    return float(counter.get_total_flops() * kind.batch_size * _PASSES_PER_STEP)


@lru_cache(maxsize=200)
def _timed_step_s(kind: StepKind, n_threads: int) -> float:
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        network, inputs = _network(kind, kind.batch_size)
        network.train()
        times = []
        for _ in range(3):
            began = time.perf_counter()
            network(inputs).logsumexp(1).mean().backward()
            times.append(time.perf_counter() - began)
        return min(times)
    finally:
        torch.set_num_threads(before)


def _network(kind: StepKind, batch_size: int) -> tuple[nn.Module, torch.Tensor]:
    info = kind.info
    network = kind.model.build(info, torch.Generator().manual_seed(0)).eval()
    inputs = torch.rand(
        (batch_size, *info.input_shape), generator=torch.Generator().manual_seed(0)
    )
    return network, inputs


def plan_table(estimates: Mapping[str, CostEstimate]) -> Table:
    """Build the table of studies by name with what each trains and its hours."""
    return tabulate(
        "What the papers' studies take",
        estimates.items(),
        [
            ("Study", lambda item: item[0]),
            ("Trials", lambda item: str(item[1].trials)),
            ("Trainings", lambda item: str(item[1].trainings)),
            ("Steps", lambda item: f"{item[1].steps:,.0f}"),
            ("10¹⁵ operations", lambda item: f"{item[1].operations / 1e15:.3g}"),
            ("Hours", lambda item: f"{item[1].hours:.2g}"),
            ("of", lambda item: item[1].device),
        ],
        "At most, without evaluations. CPU: a step of each kind was timed here, one trial at a "
        f"time. GPU: assumed {GPU_OPERATIONS_PER_S / 1e12:g}·10¹² operations per second and "
        f"{1000 * GPU_STEP_S:g} ms per step at least, one training at a time.",
    )
