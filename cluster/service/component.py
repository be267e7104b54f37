"""The interface of a component: one of the servers of a service."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cluster.ports import Port
from cluster.service.config import Service
from cluster.service.daemon import INSTANCE_VARIABLE, DaemonProcess, ProcessSpec

# Variables that the service sets itself; another service's addresses are not inherited.
_FOREIGN_PREFIXES: Final = ("CHALLENGER_", "MLFLOW_", "_MLFLOW_", "RAY_ADDRESS", "RAY_TMPDIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A server of the service.

    Attributes:
        name: Name in file names.
        title: Name in messages.
        timeout_s: Timeout of its start, on a busy machine too.
        endpoint: Returns its address, for display.
        ports: Returns the ports that must be free before it starts.
        prepare: Prepares its files and returns the arguments of its process.
        health_error: Calls it; returns why it does not answer as it must, or None.
        stop: Stops it in order, with all of its processes.
        kill: Kills its remaining processes.
    """

    name: str
    title: str
    timeout_s: float
    endpoint: Callable[[Service], str]
    ports: Callable[[Service], tuple[Port, ...]]
    prepare: Callable[[Service], ProcessSpec]
    health_error: Callable[[Service], str | None]
    stop: Callable[[DaemonProcess, Service], None]
    kill: Callable[[DaemonProcess, Service], None]


def umask_of(service: Service) -> int:
    """Return the umask of a service: its new files are as private as the storage."""
    ours = os.umask(0o077)
    os.umask(ours)
    return ours | (0o077 & ~service.config.storage.stat().st_mode)


def base_environment(service: Service) -> Mapping[str, str]:
    """Return our environment without other services' variables, and with the mark."""
    ours = {
        name: text for name, text in os.environ.items() if not name.startswith(_FOREIGN_PREFIXES)
    }
    return {**ours, INSTANCE_VARIABLE: service.instance_id}
