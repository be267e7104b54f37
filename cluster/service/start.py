"""``cluster up``: the start of every component of a service that does not run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cluster.auth import ensure_token
from cluster.errors import ClusterError
from cluster.postgres import server_account, tail
from cluster.process import StartupWait, cpu_seconds
from cluster.service.component import Component
from cluster.service.components import enabled_components, find_daemon, is_alive, stop_orphans
from cluster.service.config import (
    Service,
    ServiceConfig,
    create_service,
    differences,
    merge_config,
    read_service,
)
from cluster.service.daemon import start_daemon
from cluster.service.folder import ServiceFolder, service_lock
from cluster.service.ray_component import RAY
from cluster.service.stop import remove_records, stop_component
from cluster.session import STARTUP_TIMEOUT

_POLL_INTERVAL_S: Final = 0.2
_LOG_TAIL_BYTES: Final = 2_000
_ATTEMPTS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class StartResult:
    """A running service, and the components that were started; none if all ran already."""

    service: Service
    components: tuple[str, ...]


def start_service(
    folder: ServiceFolder,
    config: ServiceConfig,
    given: AbstractSet[str],
    on_progress: Callable[[str], None],
) -> StartResult:
    """Start a service, or its missing components, and wait until all components answer.

    After an error the components that were started are stopped; those that ran before are not.

    Args:
        folder: The service's folder.
        config: Its configuration.
        given: Fields of the configuration that were set explicitly; a service that runs, or did
            until it crashed, keeps the others.
        on_progress: Called with each step.

    Raises:
        ClusterError: If a component cannot start, a port is taken, or the service runs with other
            settings.
    """
    ensure_token()
    folder.prepare()
    with service_lock(folder) as lock:
        service = _resolve_service(folder, config, given)
        folder.set_traversable(service.config.has_postgres and server_account() is not None)
        missing = tuple(
            component
            for component in enabled_components(service)
            if not is_alive(component, service)
        )
        _kill_orphans(missing, service, on_progress)
        for port in (port for component in missing for port in component.ports(service)):
            port.require_free()
        service.write()
        try:
            _start(missing, service, lock)
            _wait_for_all(missing, service, lock, on_progress)
        except BaseException:
            _roll_back(missing, service)
            raise
    return StartResult(service=service, components=tuple(component.title for component in missing))


def _resolve_service(
    folder: ServiceFolder, requested: ServiceConfig, given: AbstractSet[str]
) -> Service:
    recorded = read_service(folder)
    if recorded is None:
        return create_service(folder, requested)
    wanted = merge_config(recorded.config, requested, given)
    changed = differences(recorded.config, wanted)
    if not changed:
        return recorded
    if any(is_alive(component, recorded) for component in enabled_components(recorded)):
        raise ClusterError(
            f"the service in {folder.root} runs with other settings ({'; '.join(changed)}); leave "
            "them out to use it as it is, or stop it first with 'cluster down'."
        )
    return Service(folder=folder, config=wanted, instance_id=recorded.instance_id)


def _kill_orphans(
    missing: Sequence[Component], service: Service, on_progress: Callable[[str], None]
) -> None:
    """Kill the processes that a killed component left: they would block the next."""
    for component in missing:
        if component is RAY:
            stop_orphans(service, on_progress)
        if (daemon := find_daemon(component, service)) is not None:
            component.kill(daemon, service)


def _start(missing: Sequence[Component], service: Service, lock: int) -> None:
    # One component's arguments may need another's preparation: Ray's hold MLflow's password.
    for component in missing:
        spec = component.prepare(service)
        start_daemon(spec, service.folder.pid_file(component.name), lock)


def _wait_for_all(
    missing: Sequence[Component], service: Service, lock: int, on_progress: Callable[[str], None]
) -> None:
    attempts = Counter(missing)
    waiting = {
        component: StartupWait(component.timeout_s) for component in enabled_components(service)
    }
    whole = StartupWait(0)
    if missing:
        on_progress(f"starting {', '.join(component.title for component in missing)}")
    while waiting:
        for component, wait in tuple(waiting.items()):
            health_error = component.health_error(service)
            if health_error is None:
                del waiting[component]
                if component in missing:
                    on_progress(f"{component.title} answers after {whole.waited_s:.0f} s")
            elif not is_alive(component, service):
                attempts[component] += 1
                if (
                    component not in missing
                    or attempts[component] > _ATTEMPTS
                    or not _exceeded_ray_timeout(component, service)
                ):
                    raise ClusterError(_exit_message(component, service))
                on_progress(f"{component.title} took too long to start, starting it again")
                _kill_orphans([component], service, on_progress)
                _start([component], service, lock)
                # The next try has all of its time.
                waiting[component] = StartupWait(component.timeout_s)
            elif wait.is_over(_cpu_seconds(component, service)):
                raise ClusterError(_timeout_message(component, service, wait, health_error))
        time.sleep(_POLL_INTERVAL_S if waiting else 0)


def _cpu_seconds(component: Component, service: Service) -> float:
    daemon = find_daemon(component, service)
    return 0.0 if daemon is None else cpu_seconds(daemon.pids())


def _exceeded_ray_timeout(component: Component, service: Service) -> bool:
    """Return whether Ray exceeded its start timeout of half a minute, which is not a setting."""
    return component is RAY and STARTUP_TIMEOUT in _log_tail(service.folder.log(component.name))


def _exit_message(component: Component, service: Service) -> str:
    log = service.folder.log(component.name)
    return (
        f"{component.title} must run at {component.endpoint(service)}, but it ended; the end of "
        f"{log}: {_log_tail(log)}"
    )


def _timeout_message(
    component: Component, service: Service, wait: StartupWait, health_error: str
) -> str:
    log = service.folder.log(component.name)
    return (
        f"{component.title} must answer at {component.endpoint(service)}, but has not for "
        f"{wait.waited_s:.0f} s: {health_error}; the end of {log}: {_log_tail(log)}"
    )


def _roll_back(missing: Sequence[Component], service: Service) -> None:
    for component in reversed(missing):
        stop_component(component, service)
    if not any(is_alive(component, service) for component in enabled_components(service)):
        remove_records(service)


def _log_tail(log: Path) -> str:
    text = log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace") if log.exists() else ""
    return tail(text) or "nothing"
