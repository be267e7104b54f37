"""CPU, memory and GPU usage of a trial's process between two reports.

Usage differs from run to run: it is no result, and nothing is compared or selected by it.
"""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import psutil
import torch

# Returns the utilization in percent, or None where the driver does not report it.
UtilizationReader: TypeAlias = Callable[[], float | None]

_NVML_LIBRARY: Final = "libnvidia-ml.so.1"


class _NvmlUtilization(ctypes.Structure):
    """NVML's ``nvmlUtilization_t``: percent of the last sampling period."""

    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


def unknown_utilization() -> None:
    """Return None: no driver reports it."""
    return


def gpu_utilization_reader(device: torch.device) -> UtilizationReader:
    """Return a function that reads the utilization of a GPU by all processes together.

    A call costs about 0.1 ms. It returns None on the CPU, without NVIDIA's driver (AMD's GPUs),
    and on a slice of a GPU (MIG), whose utilization the driver does not count.
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

    def read() -> float | None:
        found = _NvmlUtilization()
        failed = nvml.nvmlDeviceGetUtilizationRates(handle, ctypes.byref(found))
        return None if failed else float(found.gpu)

    return read


_SAMPLE_INTERVAL_S: Final = 1.0
_MEGABYTE: Final = 1e6  # MLflow's


@dataclass(slots=True, kw_only=True)
class ResourceMonitor:
    """Clocks and samples of one process's work on a trial; mutable.

    Attributes:
        device: Device of the training.
        gpu_share: Fraction of a GPU that the trial may use, if ``device`` is one.
    """

    device: torch.device
    gpu_share: float = 1.0
    _trained_s: float = 0.0
    _cpu_s: float = 0.0
    _since: tuple[float, float] | None = None
    _sampled_at: float = -_SAMPLE_INTERVAL_S
    _memory: list[int] = field(default_factory=list)
    _utilizations: list[float] = field(default_factory=list)
    _read_utilization: UtilizationReader = field(init=False)

    def __post_init__(self) -> None:
        """Open the GPU's driver."""
        self._read_utilization = gpu_utilization_reader(self.device)

    def resume(self) -> None:
        """Start the clocks."""
        self._since = (time.monotonic(), time.process_time())

    def pause(self) -> None:
        """Stop the clocks while other work runs, perhaps in this very process."""
        if self._since is not None:
            self._trained_s += time.monotonic() - self._since[0]
            self._cpu_s += time.process_time() - self._since[1]
            self._since = None

    def sample(self) -> None:
        """Sample memory and GPU, at most once a second; otherwise costs a few microseconds."""
        now = time.monotonic()
        if now - self._sampled_at >= _SAMPLE_INTERVAL_S:
            self._sampled_at = now
            self._sample()

    def collect(self) -> dict[str, float]:
        """Return the usage since the last call and start the next interval.

        Returns:
            ``trained_s``: seconds of training, pauses excluded; ``cpu_s``: CPU seconds of all
            threads; ``cpu_utilization_percentage``: their ratio, per CPU of the trial (one
            thread of torch each); ``system_memory_usage_megabytes`` and ``…_percentage``: the
            largest sampled resident memory of this process. On a GPU also ``gpu_s``:
            ``trained_s`` times ``gpu_share``; ``gpu_0_memory_usage_megabytes`` and
            ``…_percentage``: the most memory that torch reserved on it;
            ``gpu_0_utilization_percentage``: mean utilization by all processes together, where
            the driver reports it.
        """
        self._sample()
        self.pause()
        used = {"trained_s": self._trained_s, "cpu_s": self._cpu_s}
        if self._trained_s > 0:
            available_s = self._trained_s * torch.get_num_threads()
            used["cpu_utilization_percentage"] = 100 * self._cpu_s / available_s
        total = psutil.virtual_memory().total
        used |= _memory_metrics("system", max(self._memory), total)
        if self.device.type == "cuda":
            used |= self._gpu_used()
        self._trained_s = self._cpu_s = 0.0
        self._memory.clear()
        self._utilizations.clear()
        self.resume()
        return used

    def _sample(self) -> None:
        self._memory.append(resident_bytes())
        utilization = self._read_utilization()
        if utilization is not None:
            self._utilizations.append(utilization)

    def _gpu_used(self) -> dict[str, float]:
        held = torch.cuda.max_memory_reserved(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        total = torch.cuda.get_device_properties(self.device).total_memory
        used = {"gpu_s": self._trained_s * self.gpu_share, **_memory_metrics("gpu_0", held, total)}
        if self._utilizations:
            used["gpu_0_utilization_percentage"] = statistics.fmean(self._utilizations)
        return used


def resident_bytes() -> int:
    """Return this process's resident memory."""
    resident: int = psutil.Process().memory_info().rss
    return resident


def _memory_metrics(of: str, used: int, total: int) -> dict[str, float]:
    """Return a memory usage under MLflow's names of system metrics."""
    return {
        f"{of}_memory_usage_megabytes": used / _MEGABYTE,
        f"{of}_memory_usage_percentage": 100 * used / total,
    }
