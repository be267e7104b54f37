"""CPU, memory and GPU usage of a trial's process between two reports.

Usage is no result: it differs from run to run, and nothing is compared or selected by it.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import torch

# Gives the load in percent, or None where the driver does not say it.
UtilizationReader: TypeAlias = Callable[[], float | None]

_NVML_LIBRARY: Final = "libnvidia-ml.so.1"


class _NvmlUtilization(ctypes.Structure):
    """NVML's ``nvmlUtilization_t``: percent of the last sampling period."""

    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


def unknown_utilization() -> None:
    """Say that no driver can be asked."""
    return


def gpu_utilization_reader(device: torch.device) -> UtilizationReader:
    """Give a function that says how busy a GPU is, all processes on it together.

    Asking costs about 0.1 ms. On the CPU, without NVIDIA's driver (AMD's GPUs), and on a slice of
    a GPU (MIG), whose load the driver does not count, the function gives None.

    Args:
        device: Where a trial computes.
    """
    if device.type != "cuda":
        return unknown_utilization
    try:
        nvml = ctypes.CDLL(_NVML_LIBRARY)
    except OSError:
        return unknown_utilization
    handle = ctypes.c_void_p()
    uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()
    # By its UUID: CUDA's numbers are those of the visible devices, NVML's those of all.
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByUUID(uuid, ctypes.byref(handle)):
        return unknown_utilization

    def load() -> float | None:
        found = _NvmlUtilization()
        failed = nvml.nvmlDeviceGetUtilizationRates(handle, ctypes.byref(found))
        return None if failed else float(found.gpu)

    return load


_SAMPLE_INTERVAL_S: Final = 1.0
_MEGABYTE: Final = 1e6  # MLflow's
_STATM: Final = Path("/proc/self/statm")


@dataclass(slots=True, kw_only=True)
class ResourceMonitor:
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
    _sampled_at: float = -_SAMPLE_INTERVAL_S
    _memory: list[int] = field(default_factory=list)
    _loads: list[float] = field(default_factory=list)
    _load: UtilizationReader = field(init=False)

    def __post_init__(self) -> None:
        """Find the GPU."""
        self._load = gpu_utilization_reader(self.device)

    def resume(self) -> None:
        """Let the clocks run."""
        self._since = (time.monotonic(), time.process_time())

    def pause(self) -> None:
        """Stop the clocks: somebody else is busy, in this very process perhaps."""
        if self._since is not None:
            self._trained_s += time.monotonic() - self._since[0]
            self._cpu_s += time.process_time() - self._since[1]
            self._since = None

    def sample(self) -> None:
        """Look at memory and GPU, once a second at most; costs a few microseconds otherwise."""
        now = time.monotonic()
        if now - self._sampled_at >= _SAMPLE_INTERVAL_S:
            self._sampled_at = now
            self._sample()

    def collect(self) -> dict[str, float]:
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
        self._sample()
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
        self.resume()
        return used

    def _sample(self) -> None:
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
        return _memory_metrics("system", max(self._memory), total)

    def _gpu_used(self) -> dict[str, float]:
        held = torch.cuda.max_memory_reserved(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        total = torch.cuda.get_device_properties(self.device).total_memory
        used = {"gpu_s": self._trained_s * self.gpu_share, **_memory_metrics("gpu_0", held, total)}
        if self._loads:
            used["gpu_0_utilization_percentage"] = sum(self._loads) / len(self._loads)
        return used


def resident_bytes() -> int | None:
    """Give this process's memory that is not swapped out; None where the system has no /proc."""
    try:
        pages = _STATM.read_text(encoding="ascii").split()[1]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _memory_metrics(of: str, used: int, total: int) -> dict[str, float]:
    """Say a use of memory in MLflow's names of system metrics."""
    return {
        f"{of}_memory_usage_megabytes": used / _MEGABYTE,
        f"{of}_memory_usage_percentage": 100 * used / total,
    }
