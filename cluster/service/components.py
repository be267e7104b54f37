"""The components of a service in their start order, their processes, and orphaned drivers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from cluster.process import Process, processes, wait_until
from cluster.service.component import Component
from cluster.service.config import Service
from cluster.service.daemon import DaemonProcess, has_instance_id, kill_all, read_daemon
from cluster.service.mlflow_component import MLFLOW
from cluster.service.postgres_component import POSTGRES
from cluster.service.ray_component import RAY

COMPONENTS: Final = (POSTGRES, MLFLOW, RAY)


def enabled_components(service: Service) -> tuple[Component, ...]:
    """Return the components of a service."""
    return tuple(
        component
        for component in COMPONENTS
        if component is not POSTGRES or service.config.has_postgres
    )


def find_daemon(component: Component, service: Service) -> DaemonProcess | None:
    """Return the process of a component, alive or not; None if it was never started."""
    record = service.folder.pid_file(component.name)
    return read_daemon(record, service.instance_id, service.folder.root)


def is_alive(component: Component, service: Service) -> bool:
    """Return whether a component's process lives."""
    daemon = find_daemon(component, service)
    return daemon is not None and daemon.is_alive()


# A driver stops within ten seconds after SIGTERM, on a busy machine later.
_STOP_TIMEOUT_S: Final = 30.0


def stop_orphans(service: Service, on_progress: Callable[[str], None]) -> bool:
    """Stop all drivers of a service so that studies can be resumed; return whether any ran.

    As in Ray's own stop, each driver's process group gets SIGTERM first.
    """
    leaders = [each for each in _orphans(service) if each.pid == each.sid]
    if leaders:
        on_progress("stopping running drivers")
    for leader in leaders:
        with suppress(ProcessLookupError):
            os.killpg(leader.pid, signal.SIGTERM)
    wait_until(lambda: not _orphans(service), _STOP_TIMEOUT_S)
    kill_all(lambda: [each.pid for each in _orphans(service)])
    return bool(leaders)


def _orphans(service: Service) -> tuple[Process, ...]:
    daemons = [find_daemon(component, service) for component in COMPONENTS]
    sessions = {each.pid for each in daemons if each is not None}
    return tuple(
        each
        for each in processes()
        if each.sid not in sessions and has_instance_id(each.pid, service.instance_id)
    )
