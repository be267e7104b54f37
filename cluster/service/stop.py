"""``cluster down``: the stop of a service and of the drivers on it."""

from __future__ import annotations

from collections.abc import Callable

from cluster.service.component import Component
from cluster.service.components import COMPONENTS, find_daemon, stop_orphans
from cluster.service.config import Service, read_service
from cluster.service.folder import ServiceFolder, service_lock
from cluster.service.ray_component import remove_ray_folder


def stop_service(folder: ServiceFolder, on_progress: Callable[[str], None]) -> tuple[str, ...]:
    """Stop a service, or the remaining processes of one that crashed; its data stays.

    Drivers of studies are stopped first, in order, so that their studies can be resumed.

    Args:
        folder: The service's folder.
        on_progress: Called with each step.

    Returns:
        What was stopped, for display; empty if nothing ran.

    Raises:
        ClusterError: If another command starts or stops the service at the moment.
    """
    if not folder.exists():
        return ()
    with service_lock(folder):
        service = read_service(folder)
        return () if service is None else _stop_all(service, on_progress)


def _stop_all(service: Service, on_progress: Callable[[str], None]) -> tuple[str, ...]:
    stopped = ["running drivers"] if stop_orphans(service, on_progress) else []
    for component in reversed(COMPONENTS):
        if stop_component(component, service):
            stopped.append(component.title)
            on_progress(f"{component.title} has ended")
    # A driver that started meanwhile.
    stop_orphans(service, on_progress)
    remove_records(service)
    return tuple(stopped)


def stop_component(component: Component, service: Service) -> bool:
    """Stop one component in order; return whether any of its processes lived."""
    daemon = find_daemon(component, service)
    if daemon is None:
        return False
    had_processes = bool(daemon.pids())
    component.stop(daemon, service)
    service.folder.pid_file(component.name).unlink()
    return had_processes


def remove_records(service: Service) -> None:
    """Delete the records of a service without processes, and Ray's folder."""
    remove_ray_folder(service.folder.ray)
    for component in COMPONENTS:
        service.folder.pid_file(component.name).unlink(missing_ok=True)
    service.folder.link(service.config.mlflow_port).unlink(missing_ok=True)
    service.folder.record.unlink(missing_ok=True)
