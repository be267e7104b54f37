"""The replicas of a trial trained stacked, compared with sequentially.

Measured on ten digits per class, the paper's tiny MNIST.
"""

from __future__ import annotations

import copy
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tests.benchmarks.interleaved_timing import (
    MIN_ROUNDS,
    Quartiles,
    paired_ratio,
    quartiles,
    time_interleaved,
)
from tests.benchmarks.torch_benchmark import (
    MachineInfo,
    TorchBenchmark,
    add_machine_options,
    machine_info,
    table,
    take_device,
)
from trainables.checks import require
from trainables.config import TrainingConfig, TrialConfig
from trainables.datasets import DataFolders, Digits
from trainables.loop import require_finite
from trainables.methods import METHODS
from trainables.models import Vgg11
from trainables.optimizers import Adam
from trainables.replica_group import single_group, stacked_group
from trainables.replica_mode import TIMED_STEPS, stacking_obstacle, step_timer
from trainables.replicas import Replica, start_replicas

# The weights hardly move, so that the last round computes with the numbers of the first.
_LEARNING_RATE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicasOptions:
    methods: tuple[str, ...]
    replicas: tuple[int, ...]
    width: float = 1.0
    batch_size: int = 30
    rounds: int = MIN_ROUNDS
    device: torch.device = torch.device("cpu")  # noqa: RUF009 (immutable)

    def __post_init__(self) -> None:
        for count in self.replicas:
            require(count >= 2, "replicas", "must be at least 2", count)
        require(self.rounds >= 1, "rounds", "must be at least 1", self.rounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicasRow:
    method: str
    replicas: int
    gain: Quartiles
    step_ms: Quartiles


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicasReport:
    machine: MachineInfo
    width: float
    batch_size: int
    rows: tuple[ReplicasRow, ...]


def measure_replicas(
    options: ReplicasOptions, on_message: Callable[[str], None] = lambda _: None
) -> ReplicasReport:
    with tempfile.TemporaryDirectory() as cache:
        folders = DataFolders(root=None, cache=Path(cache))
        rows = tuple(_measure(options, folders, on_message))
    return ReplicasReport(
        machine=machine_info(options.device),
        width=options.width,
        batch_size=options.batch_size,
        rows=rows,
    )


def _measure(
    options: ReplicasOptions, folders: DataFolders, on_message: Callable[[str], None]
) -> Iterator[ReplicasRow]:
    for method in options.methods:
        for count in options.replicas:
            on_message(f"{method}, {count} replicas in {options.rounds} rounds")
            config = _config(options, method, count)
            yield _row(config, start_replicas(config, folders, options.device), options.rounds)


def _config(options: ReplicasOptions, method: str, count: int) -> TrialConfig:
    return TrialConfig(
        dataset=Digits(train_per_class=10, subset="per_replica"),
        model=Vgg11(width=options.width),
        method=METHODS[method](),
        training=TrainingConfig(batch_size=options.batch_size, optimizer=Adam(lr=_LEARNING_RATE)),
        seeds=tuple(range(count)),
    )


def _row(config: TrialConfig, replicas: Sequence[Replica], rounds: int) -> ReplicasRow:
    data, states = [each.data for each in replicas], [each.state for each in replicas]
    reason = stacking_obstacle(config, states[0].model)
    require(reason is None, "method", f"must leave replicas joinable, but {reason}", config.method)
    copies = copy.deepcopy(states)
    stacked = (stacked_group(config, data, states),)
    one_by_one = tuple(single_group(d, s) for d, s in zip(data, copies, strict=True))
    run = step_timer(config, stacked)
    times = time_interleaved(
        {"stacked": run, "sequential": step_timer(config, one_by_one)}, rounds
    )
    for state in (*states, *copies):
        require_finite(config, state)
    return ReplicasRow(
        method=config.method.name,
        replicas=len(states),
        gain=paired_ratio(times["sequential"], to=times["stacked"]),
        step_ms=quartiles(tuple(1e3 * seconds / TIMED_STEPS for seconds in times["stacked"])),
    )


_METHODS, _REPLICAS = ("base", "challenger"), (8,)
_HEADER = ("method", "replicas", "gain", "quartiles", "step of all, ms")


def _add_options(parser: ArgumentParser) -> None:
    several = "may be given several times"
    parser.add_argument(
        "--method",
        action="append",
        choices=sorted(METHODS),
        help=f"{several}; default: base and challenger",
    )
    parser.add_argument("--replicas", action="append", type=int, help=f"{several}; default: 8")
    parser.add_argument(
        "--width", type=float, default=1.0, help="factor on VGG11's channels; default: 1"
    )
    parser.add_argument(
        "--batch-size", type=int, default=30, help="samples of a step; default: 30, as the paper"
    )
    add_machine_options(parser)


def _measure_options(options: Namespace, on_message: Callable[[str], None]) -> ReplicasReport:
    return measure_replicas(
        ReplicasOptions(
            methods=tuple(options.method or _METHODS),
            replicas=tuple(options.replicas or _REPLICAS),
            width=options.width,
            batch_size=options.batch_size,
            rounds=options.rounds,
            device=take_device(options),
        ),
        on_message,
    )


def _lines(report: ReplicasReport) -> list[str]:
    about = (
        f"Tiny MNIST, VGG11 of width {report.width:g}, batches of {report.batch_size}: trials per "
        "hour with all replicas as one computation, by one after the other."
    )
    return [str(report.machine), about, "", *table(_HEADER, [_cells(row) for row in report.rows])]


def _cells(row: ReplicasRow) -> tuple[str, ...]:
    return (
        row.method,
        str(row.replicas),
        f"{row.gain.median:.2f}",
        f"{row.gain.low:.2f}–{row.gain.high:.2f}",
        f"{row.step_ms.median:.1f}",
    )


REPLICAS = TorchBenchmark(
    summary="replicas of a trial as one computation, by one after the other",
    add_options=_add_options,
    measure=_measure_options,
    lines=_lines,
)
