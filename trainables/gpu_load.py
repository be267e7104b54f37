"""How busy a GPU is, asked of NVIDIA's driver itself, without a package for it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Final, TypeAlias

import torch

# Gives the load in percent, or None where the driver does not say it.
Load: TypeAlias = Callable[[], float | None]

_LIBRARY: Final = "libnvidia-ml.so.1"


class _Utilisation(ctypes.Structure):
    """NVML's ``nvmlUtilization_t``: percent of the last sampling period."""

    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


def unknown() -> None:
    """Say that no driver can be asked."""
    return


def gpu_load(device: torch.device) -> Load:
    """Give a function that says how busy a GPU is, all processes on it together.

    Asking costs about 0.1 ms. On the CPU, without NVIDIA's driver (AMD's GPUs), and on a slice of
    a GPU (MIG), whose load the driver does not count, the function gives None.

    Args:
        device: Where a trial computes.
    """
    if device.type != "cuda":
        return unknown
    try:
        nvml = ctypes.CDLL(_LIBRARY)
    except OSError:
        return unknown
    handle = ctypes.c_void_p()
    uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()
    # By its UUID: CUDA's numbers are those of the visible devices, NVML's those of all.
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByUUID(uuid, ctypes.byref(handle)):
        return unknown

    def load() -> float | None:
        found = _Utilisation()
        failed = nvml.nvmlDeviceGetUtilizationRates(handle, ctypes.byref(found))
        return None if failed else float(found.gpu)

    return load
