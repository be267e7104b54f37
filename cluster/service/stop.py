"""``cluster down``: all that a service has started is ended, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from cluster.service.component import Component
from cluster.service.components import COMPONENTS, find_daemon, stop_orphans
from cluster.service.config import Service, read_service
from cluster.service.folder import ServiceFolder, service_lock
from cluster.service.ray_component import remove_ray_folder


def stop_service(folder: ServiceFolder, on_progress: Callable[[str], None]) -> tuple[str, ...]:
    """End a service, also what is left of one that crashed; what it keeps stays.

    Drivers of studies go first and are asked: their studies can be resumed.

    Args:
        folder: Where the service keeps its things.
        on_progress: Told each step.

    Returns:
        What was ended, for people; empty if nothing ran.

    Raises:
        ClusterError: If another command starts or ends the service just now.
    """
    if not folder.exists():
        return ()
    with service_lock(folder):
        service = read_service(folder)
        return () if service is None else _stop_all(service, on_progress)


def _stop_all(service: Service, on_progress: Callable[[str], None]) -> tuple[str, ...]:
    ended = ["running drivers"] if stop_orphans(service, on_progress) else []
    for component in reversed(COMPONENTS):
        if stop_component(component, service):
            ended.append(component.title)
            on_progress(f"{component.title} has ended")
    # What a driver left that started just before.
    stop_orphans(service, on_progress)
    remove_records(service)
    return tuple(ended)


def stop_component(component: Component, service: Service) -> bool:
    """End one part in order; tells whether anything of it was left to end."""
    daemon = find_daemon(component, service)
    if daemon is None:
        return False
    was_there = bool(daemon.pids())
    component.stop(daemon, service)
    service.folder.pid_file(component.name).unlink()
    return was_there


def remove_records(service: Service) -> None:
    """Delete the record of a service of which nothing runs any more, and Ray's folder."""
    remove_ray_folder(service.folder.ray)
    for component in COMPONENTS:
        service.folder.pid_file(component.name).unlink(missing_ok=True)
    service.folder.link(service.config.mlflow_port).unlink(missing_ok=True)
    service.folder.record.unlink(missing_ok=True)
