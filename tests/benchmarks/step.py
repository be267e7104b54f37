"""The time of a training step under each method, as a multiple of a plain step's."""

from __future__ import annotations

import math
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch

from tests.benchmarks.interleaved_timing import (
    MIN_ROUNDS,
    Quartiles,
    paired_ratio,
    time_interleaved,
)
from tests.benchmarks.model_families import FAMILIES, Family, fixed_splits, noise_batch
from tests.benchmarks.operation_count import count_operations, counted_ratio, passes_of
from tests.benchmarks.torch_benchmark import (
    MachineInfo,
    TorchBenchmark,
    add_machine_options,
    machine_info,
    table,
    take_device,
)
from tests.benchmarks.zennit_lrp import ZennitLrp, has_zennit
from trainables.attribution import CaptumLrp
from trainables.checks import require
from trainables.config import Precision, TrainingConfig, TrialConfig
from trainables.datasets import Splits
from trainables.errors import ConfigError
from trainables.loop import init_replica, require_finite, run_epoch
from trainables.methods import METHODS, Base, Challenger, MethodConfig
from trainables.optimizers import Adam
from trainables.replica_group import ReplicaState

Clock: TypeAlias = Literal["cpu", "wall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOptions:
    families: tuple[str, ...]
    batch_sizes: tuple[int, ...]
    ways: tuple[str, ...]
    rounds: int = MIN_ROUNDS
    device: torch.device = torch.device("cpu")  # noqa: RUF009 (immutable)

    def __post_init__(self) -> None:
        for size in self.batch_sizes:
            require(size >= 4, "batch_size", "must be at least 4, of which 2 are challenged", size)
        require(self.rounds >= 1, "rounds", "must be at least 1", self.rounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    family: str
    batch_size: int
    way: str
    ratio: Quartiles
    limit: float
    above_limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    family: str
    way: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    machine: MachineInfo
    clock: Clock
    rows: tuple[StepRow, ...]
    left_out: tuple[LeftOut, ...]


PLAIN = "base"

# A measurement takes so long at least, of several steps if need be: clocks and caches settle.
_MIN_MEASURED_S = 0.3
_MAX_STEPS = 100

# The weights hardly move, so that the last round computes with the numbers of the first.
_LEARNING_RATE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class StepVariant:
    method: Callable[[], MethodConfig]
    precision: Precision = "float32"


def step_variants() -> Mapping[str, StepVariant]:
    """Return every variant of a step but the plain one, by name.

    ``base_finetune`` takes plain steps, and has no row of its own.
    """
    others = [name for name in METHODS if name not in (PLAIN, "base_finetune")]
    return {
        **{name: StepVariant(method=METHODS[name]) for name in others},
        "challenger/captum_lrp": StepVariant(method=lambda: Challenger(attribution=CaptumLrp())),
        "challenger/zennit": StepVariant(method=lambda: Challenger(attribution=ZennitLrp())),
        "base/bfloat16": StepVariant(method=Base, precision="bfloat16"),
        "challenger/bfloat16": StepVariant(method=Challenger, precision="bfloat16"),
    }


def measure_steps(
    options: StepOptions, on_message: Callable[[str], None] = lambda _: None
) -> StepReport:
    """Measure the ways on each family at each batch size, one after the other in every round."""
    rows: list[StepRow] = []
    left_out: list[LeftOut] = []
    for family in options.families:
        configs, refused = _configs(family, options.ways)
        left_out.extend(refused)
        for batch_size in options.batch_sizes:
            n_ways, rounds = len(configs), options.rounds
            on_message(f"{family}, batches of {batch_size}: {n_ways} ways in {rounds} rounds")
            rows.extend(_measure(family, batch_size, configs, options))
    return StepReport(
        machine=machine_info(options.device),
        clock=clock_of(options.device),
        rows=tuple(rows),
        left_out=tuple(left_out),
    )


def clock_of(device: torch.device) -> Clock:
    """Return the clock for a device: of the CPU where one thread computes, or of the wall."""
    return "cpu" if device.type == "cpu" and torch.get_num_threads() == 1 else "wall"


def _configs(
    family: str, ways: tuple[str, ...]
) -> tuple[dict[str, TrialConfig], tuple[LeftOut, ...]]:
    configs: dict[str, TrialConfig] = {}
    left_out: list[LeftOut] = []
    for way in ways:
        if way == "challenger/zennit" and not has_zennit():
            left_out.append(LeftOut(family=family, way=way, reason="zennit is not installed"))
            continue
        try:
            config = _config(FAMILIES[family], step_variants()[way])
            config.check_model()
        except ConfigError as error:
            left_out.append(LeftOut(family=family, way=way, reason=str(error)))
        else:
            configs[way] = config
    return configs, tuple(left_out)


def _config(family: Family, way: StepVariant) -> TrialConfig:
    training = TrainingConfig(optimizer=Adam(lr=_LEARNING_RATE), precision=way.precision)
    return TrialConfig(
        dataset=family.dataset,
        model=family.model,
        method=way.method(),
        training=training,
        seeds=(1,),
    )


def _measure(
    family: str, batch_size: int, configs: Mapping[str, TrialConfig], options: StepOptions
) -> Iterator[StepRow]:
    plain = _config(FAMILIES[family], StepVariant(method=Base))
    info = plain.dataset.info
    # One model for all ways: its weights do not change what a step computes.
    state = init_replica(plain, info, 1, options.device)
    batch = noise_batch(info, batch_size, options.device)
    one_step = _timed(_of_size(plain, batch_size), fixed_splits(batch, 1), state)
    n_steps = _n_steps(one_step)
    data = fixed_splits(batch, n_steps)
    ways = {
        name: _timed(_of_size(config, batch_size), data, state)
        for name, config in {PLAIN: plain, **configs}.items()
    }
    times = time_interleaved(ways, options.rounds)
    require_finite(plain, state)
    operations = count_operations(state.model, info.input_shape)
    for way, config in configs.items():
        found = paired_ratio(times[way], times[PLAIN])
        limit = counted_ratio(operations, passes_of(config.method, batch_size), batch_size)
        yield StepRow(
            family=family,
            batch_size=batch_size,
            way=way,
            ratio=found,
            limit=limit,
            above_limit=found.median / limit,
        )


def _of_size(config: TrialConfig, batch_size: int) -> TrialConfig:
    return replace(config, training=replace(config.training, batch_size=batch_size))


def _timed(config: TrialConfig, data: Splits, state: ReplicaState) -> Callable[[], float]:
    device = data.train.targets.device
    now = time.process_time if clock_of(device) == "cpu" else time.perf_counter

    def epoch() -> float:
        _synchronize(device)
        started = now()
        run_epoch(config, data, state)
        _synchronize(device)
        return now() - started

    return epoch


def _n_steps(one_step: Callable[[], float]) -> int:
    one_step()
    return min(_MAX_STEPS, max(1, math.ceil(_MIN_MEASURED_S / one_step())))


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


_BATCH_SIZES = (32, 128)
_STEP_HEADER = ("family", "batch", "step", "ratio", "quartiles", "limit", "ratio/limit")


def _add_step_options(parser: ArgumentParser) -> None:
    several = "may be given several times"
    parser.add_argument(
        "--family", action="append", choices=sorted(FAMILIES), help=f"{several}; default: all"
    )
    parser.add_argument(
        "--batch-size", action="append", type=int, help=f"{several}; default: 32 and 128"
    )
    parser.add_argument(
        "--method",
        action="append",
        choices=sorted(step_variants()),
        help=f"{several}; default: all",
    )
    add_machine_options(parser)


def _measure_options(options: Namespace, on_message: Callable[[str], None]) -> StepReport:
    return measure_steps(
        StepOptions(
            families=tuple(options.family or sorted(FAMILIES)),
            batch_sizes=tuple(options.batch_size or _BATCH_SIZES),
            ways=tuple(options.method or step_variants()),
            rounds=options.rounds,
            device=take_device(options),
        ),
        on_message,
    )


def _step_lines(report: StepReport) -> list[str]:
    clock = "CPU time" if report.clock == "cpu" else "Time"
    rounds = report.rows[0].ratio.rounds if report.rows else 0
    about = f"{clock} of a step by that of a plain step; medians of {rounds} rounds."
    rows = table(_STEP_HEADER, [_step_cells(row) for row in report.rows])
    missing = [f"not measured: {x.way} on {x.family}: {x.reason}" for x in report.left_out]
    return [str(report.machine), about, "", *rows, *missing]


def _step_cells(row: StepRow) -> tuple[str, ...]:
    return (
        row.family,
        str(row.batch_size),
        row.way,
        f"{row.ratio.median:.3f}",
        f"{row.ratio.low:.3f}–{row.ratio.high:.3f}",
        f"{row.limit:.3f}",
        f"{row.above_limit:.3f}",
    )


STEP = TorchBenchmark(
    summary="a training step under each method, by a plain step",
    add_options=_add_step_options,
    measure=_measure_options,
    lines=_step_lines,
)
