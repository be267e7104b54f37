"""LRP of networks compared with input × gradient of the same, on one batch."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn
from torchvision.models import ConvNeXt, VisionTransformer
from torchvision.models.convnext import CNBlockConfig

from tests.benchmarks.interleaved_timing import (
    Quartiles,
    paired_ratio,
    quartiles,
    time_interleaved,
)
from tests.benchmarks.step import clock_of
from tests.benchmarks.torch_benchmark import (
    MachineInfo,
    TorchBenchmark,
    add_machine_options,
    machine_info,
    table,
    take_device,
)
from tests.trainables.models.small_modules import TextTransformer
from trainables.attribution import attn_lrp, input_x_gradient
from trainables.checks import require
from trainables.datasets import DatasetInfo

_TEXTS = DatasetInfo(n_classes=10, input_shape=(100, 128), domain="text")


def _vision(side: int, patch: int, layers: int, width: int) -> nn.Module:
    net: nn.Module = VisionTransformer(side, patch, layers, 4, width, 4 * width, num_classes=10)
    return net


# Name to network and shape of a batch.
NETWORKS: Final[Mapping[str, tuple[Callable[[], nn.Module], tuple[int, ...]]]] = {
    "vit, 65 tokens of 64": (partial(_vision, 32, 4, 3, 64), (64, 3, 32, 32)),
    "vit, 197 tokens of 192": (partial(_vision, 224, 16, 4, 192), (4, 3, 224, 224)),
    "text transformer, 128 words of 64": (
        partial(TextTransformer, _TEXTS, width=64, layers=3, heads=4),
        (32, *_TEXTS.input_shape),
    ),
    "convnext, 16-32-64 channels": (
        lambda: ConvNeXt(
            [CNBlockConfig(16, 32, 2), CNBlockConfig(32, 64, 2), CNBlockConfig(64, None, 2)],
            num_classes=10,
        ),
        (64, 3, 32, 32),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributionsRow:
    network: str
    epsilon: float
    cost: Quartiles
    plain_ms: Quartiles


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributionsReport:
    machine: MachineInfo
    rows: tuple[AttributionsRow, ...]


def measure_attributions(
    device: torch.device, rounds: int, on_message: Callable[[str], None] = lambda _: None
) -> AttributionsReport:
    require(rounds >= 1, "rounds", "must be at least 1", rounds)
    return AttributionsReport(
        machine=machine_info(device), rows=tuple(_rows(device, rounds, on_message))
    )


def _rows(
    device: torch.device, rounds: int, on_message: Callable[[str], None]
) -> Iterator[AttributionsRow]:
    for name, (build, shape) in NETWORKS.items():
        on_message(f"{name} in {rounds} rounds")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = build().to(device)
            inputs = torch.randn(shape).to(device)
        target = torch.zeros(len(inputs), dtype=torch.long, device=device)
        plain = partial(input_x_gradient, network, inputs, target)
        epsilons = (0.0, 1e-6)
        timers = {"plain": _timer(plain, device)} | {
            str(epsilon): _timer(
                partial(attn_lrp, network, inputs, target, epsilon=epsilon), device
            )
            for epsilon in epsilons
        }
        times = time_interleaved(timers, rounds)
        for epsilon in epsilons:
            yield AttributionsRow(
                network=name,
                epsilon=epsilon,
                cost=paired_ratio(times[str(epsilon)], to=times["plain"]),
                plain_ms=quartiles(tuple(1e3 * seconds for seconds in times["plain"])),
            )


def _timer(call: Callable[[], Tensor], device: torch.device) -> Callable[[], float]:
    clock = time.process_time if clock_of(device) == "cpu" else time.perf_counter

    def run() -> float:
        began = clock()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return clock() - began

    return run


def _measure_options(options: Namespace, on_message: Callable[[str], None]) -> AttributionsReport:
    return measure_attributions(take_device(options), options.rounds, on_message)


def _add_options(parser: ArgumentParser) -> None:
    add_machine_options(parser)


def _lines(report: AttributionsReport) -> list[str]:
    header = ("network", "ε", "cost", "quartiles", "input × gradient, ms")
    rows = [
        (
            row.network,
            f"{row.epsilon:g}",
            f"{row.cost.median:.2f}",
            f"{row.cost.low:.2f}–{row.cost.high:.2f}",
            f"{row.plain_ms.median:.0f}",
        )
        for row in report.rows
    ]
    about = "AttnLRP of a batch, by input × gradient of the same network and batch."
    return [str(report.machine), about, "", *table(header, rows)]


ATTRIBUTIONS = TorchBenchmark(
    summary="AttnLRP by input × gradient",
    add_options=_add_options,
    measure=_measure_options,
    lines=_lines,
)
