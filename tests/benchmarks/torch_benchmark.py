"""A benchmark that needs torch alone: its options, the machine it ran on, its table of text."""

from __future__ import annotations

import os
import platform
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks.interleaved_timing import MIN_ROUNDS
from trainables.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchBenchmark:
    summary: str
    add_options: Callable[[ArgumentParser], None]
    measure: Callable[[Namespace, Callable[[str], None]], Any]
    lines: Callable[[Any], list[str]]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    r"""Lay cells out in columns as wide as need be.

    Example:
        >>> print("\n".join(table(("a", "b"), [("1", "2"), ("333", "4")])))
        a    b
        1    2
        333  4
    """
    cells = [header, *rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(header))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineInfo:
    device: str
    processor: str
    cores: int
    gpu: str | None
    threads: int
    torch: str
    python: str

    def __str__(self) -> str:
        where = self.gpu or f"{self.processor}, {self.threads} of {self.cores} cores"
        return f"{where}; torch {self.torch}, Python {self.python}"


def machine_info(device: torch.device) -> MachineInfo:
    return MachineInfo(
        device=device.type,
        processor=_processor(),
        cores=os.cpu_count() or 1,
        gpu=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        python=platform.python_version(),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def add_machine_options(parser: ArgumentParser) -> None:
    parser.add_argument("--device", default="cpu", help="cpu or cuda; default: cpu")
    parser.add_argument("--threads", type=int, help="threads of the CPU; default: torch's")
    parser.add_argument(
        "--rounds",
        type=int,
        default=MIN_ROUNDS,
        help=f"how often each is measured; default: {MIN_ROUNDS}",
    )


def take_device(options: Namespace) -> torch.device:
    if options.threads is not None:
        if options.threads < 1:
            raise ConfigError(f"--threads must be at least 1, got {options.threads}.")
        torch.set_num_threads(options.threads)
    if options.device not in ("cpu", "cuda"):
        raise ConfigError(f"--device must be cpu or cuda, got {options.device!r}.")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "--device is cuda, but torch sees no GPU here; run it on a machine with one, or with "
            "--device cpu."
        )
    return torch.device(options.device)
