"""``cluster status``: the state of a service's components, nodes and studies.

Ray's state comes from its dashboard by HTTP: to connect as a driver takes seconds.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.auth import require_token
from cluster.service.component import Component
from cluster.service.components import enabled_components, find_daemon
from cluster.service.config import Service, read_service
from cluster.service.folder import ServiceFolder
from cluster.service.http_client import NodeStatus, StudyJob, list_nodes, list_studies
from cluster.service.ray_component import RAY, prepare_driver_environment

if TYPE_CHECKING:
    from cluster.quota import QueueRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentStatus:
    """State of a component: ``answers``, ``does not answer`` or ``ended``.

    ``since_s`` is its start, or its last output if it has ended, in seconds since 1970.
    """

    title: str
    state: str
    since_s: float
    endpoint: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """State of a service.

    Attributes:
        nodes: Ray's nodes, the head first; empty if Ray does not answer.
        studies: Studies whose drivers run on it.
        queue: The studies' quotas, in the order of the queue; empty for a single study.
    """

    service: Service
    components: tuple[ComponentStatus, ...]
    nodes: tuple[NodeStatus, ...]
    studies: tuple[StudyJob, ...]
    queue: tuple[QueueRow, ...]

    @property
    def is_healthy(self) -> bool:
        """Whether every component answers as it must."""
        return all(component.state == "answers" for component in self.components)


def service_status(folder: ServiceFolder) -> ServiceStatus | None:
    """Return the state of a service; None if there is none.

    Raises:
        ClusterError: If its record or Ray's token cannot be read.
    """
    service = read_service(folder)
    if service is None:
        return None
    components = enabled_components(service)
    with ThreadPoolExecutor(len(components)) as pool:
        states = tuple(
            pool.map(lambda component: _component_status(component, service), components)
        )
    if RAY.title not in {state.title for state in states if state.state == "answers"}:
        return ServiceStatus(service=service, components=states, nodes=(), studies=(), queue=())
    headers = require_token().headers()
    studies = list_studies(service.dashboard, headers)
    return ServiceStatus(
        service=service,
        components=states,
        nodes=list_nodes(service.dashboard, headers),
        studies=studies,
        queue=_queue(service) if len(studies) > 1 else (),
    )


def _queue(service: Service) -> tuple[QueueRow, ...]:
    """Read the queue as a driver, which takes seconds: only where several studies share."""
    prepare_driver_environment(service)
    from cluster.quota import read_queue

    return read_queue(service.head)


def _component_status(component: Component, service: Service) -> ComponentStatus:
    daemon = find_daemon(component, service)
    if daemon is None or not daemon.is_alive():
        return ComponentStatus(
            title=component.title,
            state="ended",
            since_s=_last_log_s(component, service),
            endpoint=component.endpoint(service),
            reason=f"its process has ended; see {service.folder.log(component.name)}",
        )
    health_error = component.health_error(service)
    return ComponentStatus(
        title=component.title,
        state="answers" if health_error is None else "does not answer",
        since_s=daemon.started_s,
        endpoint=component.endpoint(service),
        reason=health_error,
    )


def _last_log_s(component: Component, service: Service) -> float:
    log = service.folder.log(component.name)
    return log.stat().st_mtime if log.exists() else service.folder.record.stat().st_mtime
