"""What a trial's process uses of its machine between two reports.

No result: it differs from one time to the next, and nothing is compared or chosen by it.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch

from trainables.gpu_load import Load, gpu_load

_PAUSE_S: Final = 1.0
_MEGABYTE: Final = 1e6  # MLflow's
_MEMORY: Final = Path("/proc/self/statm")


@dataclass(slots=True, kw_only=True)
class Meter:
    """Measures one process's work on a trial; mutable as time goes by.

    Attributes:
        device: Where it computes.
        gpu_share: The share of a GPU that it was given, where it computes on one.
    """

    device: torch.device
    gpu_share: float = 1.0
    _trained_s: float = 0.0
    _cpu_s: float = 0.0
    _since: tuple[float, float] | None = None
    _looked: float = -_PAUSE_S
    _memory: list[int] = field(default_factory=list)
    _loads: list[float] = field(default_factory=list)
    _load: Load = field(init=False)

    def __post_init__(self) -> None:
        """Find the GPU."""
        self._load = gpu_load(self.device)

    def go_on(self) -> None:
        """Let the clocks run."""
        self._since = (time.monotonic(), time.process_time())

    def pause(self) -> None:
        """Stop the clocks: somebody else is busy, in this very process perhaps."""
        if self._since is not None:
            self._trained_s += time.monotonic() - self._since[0]
            self._cpu_s += time.process_time() - self._since[1]
            self._since = None

    def look(self) -> None:
        """Look at memory and GPU, once a second at most; costs a few microseconds otherwise."""
        now = time.monotonic()
        if now - self._looked >= _PAUSE_S:
            self._looked = now
            self._look()

    def take(self) -> dict[str, float]:
        """Give what was used since the last time, while the clocks run.

        Returns:
            ``trained_s``: seconds of training, waiting for the driver left out; ``cpu_s``: the
            processor's seconds in all threads; ``cpu_utilization_percentage``: their ratio, per
            CPU that the trial was given (a thread of torch each);
            ``system_memory_usage_megabytes`` and ``…_percentage``: the most resident memory of
            this process that was seen. On a GPU also ``gpu_s``: ``trained_s`` times the share of
            it; ``gpu_0_memory_usage_megabytes`` and ``…_percentage``: the most memory that torch
            held of it; ``gpu_0_utilization_percentage``: how busy it was on average, all
            processes on it together, where the driver says it.
        """
        self._look()
        self.pause()
        used = {"trained_s": self._trained_s, "cpu_s": self._cpu_s}
        if self._trained_s > 0:
            given_s = self._trained_s * torch.get_num_threads()
            used["cpu_utilization_percentage"] = 100 * self._cpu_s / given_s
        used |= self._memory_used()
        if self.device.type == "cuda":
            used |= self._gpu_used()
        self._trained_s = self._cpu_s = 0.0
        self._memory.clear()
        self._loads.clear()
        self.go_on()
        return used

    def _look(self) -> None:
        resident = resident_bytes()
        if resident is not None:
            self._memory.append(resident)
        load = self._load()
        if load is not None:
            self._loads.append(load)

    def _memory_used(self) -> dict[str, float]:
        if not self._memory:
            return {}
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return _amount("system", max(self._memory), total)

    def _gpu_used(self) -> dict[str, float]:
        held = torch.cuda.max_memory_reserved(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        total = torch.cuda.get_device_properties(self.device).total_memory
        used = {"gpu_s": self._trained_s * self.gpu_share, **_amount("gpu_0", held, total)}
        if self._loads:
            used["gpu_0_utilization_percentage"] = sum(self._loads) / len(self._loads)
        return used


def resident_bytes() -> int | None:
    """Give this process's memory that is not swapped out; None where the system has no /proc."""
    try:
        pages = _MEMORY.read_text(encoding="ascii").split()[1]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _amount(of: str, used: int, total: int) -> dict[str, float]:
    """Say a use of memory in MLflow's names of system metrics."""
    return {
        f"{of}_memory_usage_megabytes": used / _MEGABYTE,
        f"{of}_memory_usage_percentage": 100 * used / total,
    }
