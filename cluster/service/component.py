"""One of the servers that a service is made of, as those see it who start, watch and end them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from cluster.ports import Port
from cluster.service.config import Service
from cluster.service.daemon import INSTANCE_VARIABLE, DaemonProcess, ProcessSpec

# What they are told, they are told by us; another service's addresses are not theirs.
_FOREIGN_PREFIXES: Final = ("CHALLENGER_", "MLFLOW_", "_MLFLOW_", "RAY_ADDRESS", "RAY_TMPDIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A server of the service.

    Attributes:
        name: As in file names.
        title: As in messages.
        timeout_s: How long its start may take, on a busy machine too.
        endpoint: Gives where it is found, for people.
        ports: Gives the ports that must be free before it starts.
        prepare: Gives what it is started with, and prepares what it needs.
        health_error: Asks it; gives why it does not answer as it must, or None.
        stop: Ends it in order; none of its processes is left.
        kill: Ends what is left of it at once.
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
    """Return the modes that no new file of a service has: whom the storage keeps out, it does."""
    ours = os.umask(0o077)
    os.umask(ours)
    return ours | (0o077 & ~service.config.storage.stat().st_mode)


def base_environment(service: Service) -> Mapping[str, str]:
    """Give our environment without what speaks of other services, and with the mark."""
    ours = {
        name: text for name, text in os.environ.items() if not name.startswith(_FOREIGN_PREFIXES)
    }
    return {**ours, INSTANCE_VARIABLE: service.instance_id}
