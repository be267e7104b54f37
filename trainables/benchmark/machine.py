"""What a benchmark ran on; a ratio is that of this machine."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Hardware and versions.

    Attributes:
        device: Kind of device that trained, ``cpu`` or ``cuda``.
        processor: Name of the processor.
        cores: Its cores.
        gpu: Name of the GPU, or None if the processor trained.
        threads: Threads that torch used on the processor.
        torch: Version of torch.
        python: Version of Python.
    """

    device: str
    processor: str
    cores: int
    gpu: str | None
    threads: int
    torch: str
    python: str

    def __str__(self) -> str:
        """Say it in one line."""
        where = self.gpu or f"{self.processor}, {self.threads} of {self.cores} cores"
        return f"{where}; torch {self.torch}, Python {self.python}"


def this_machine(device: torch.device) -> Machine:
    """Describe the machine on which a benchmark runs."""
    return Machine(
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
