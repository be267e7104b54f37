"""Ray's head with dashboard and Jobs API as a component of the service.

Its environment is what studies on it inherit. Ray's head binds to all addresses of the machine,
whatever address it is given; the setting with which Ray runs on systems without clusters keeps
all of it on 127.0.0.1. ``disable_client_server`` is Ray's start hook.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cluster.auth import ensure_token, require_token
from cluster.errors import ClusterError
from cluster.ports import Port, free_port
from cluster.postgres import database_url, read_login
from cluster.service.component import Component, base_environment, umask_of
from cluster.service.config import Service
from cluster.service.daemon import DaemonProcess, ProcessSpec
from cluster.service.http_client import http_get
from cluster.service.mlflow_component import ADMIN_USER, read_passwords
from cluster.session import LOOPBACK, NO_METRICS, RAY_ENVIRONMENT, prepare_environment

if TYPE_CHECKING:
    from ray._private.parameter import RayParams

START_HOOK: Final = "RAY_START_HOOK"


def disable_client_server(params: RayParams, is_head: bool) -> None:  # noqa: ARG001 (Ray's)
    """Switch off the unused server of ``ray://``, for which there is no option."""
    params.ray_client_server_port = None
    # Not inherited by processes of studies.
    os.environ.pop(START_HOOK, None)


# Trials pass a few kilobytes, and containers often have little shared memory.
_STORE_BYTES: Final = 200_000_000


def _ports(service: Service) -> tuple[Port, ...]:
    head = "0.0.0.0" if service.is_open else service.address
    config = service.config
    return (
        Port(
            address=head,
            number=config.port,
            server="Ray's head",
            remedy="choose another port with --port",
        ),
        Port(
            address=service.address,
            number=config.dashboard_port,
            server="Ray's dashboard",
            remedy="choose another port with --dashboard-port",
        ),
    )


def _prepare(service: Service) -> ProcessSpec:
    _create_folder(service.folder.ray)
    return ProcessSpec(
        command=_command(service),
        environment=_environment(service),
        folder=service.folder.root,
        log=service.folder.log("ray"),
        umask=umask_of(service),
    )


def _command(service: Service) -> list[str]:
    config = service.config
    command = [sys.executable, "-P", "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    command += [f"--node-ip-address={service.address}", f"--port={config.port}"]
    command += [f"--dashboard-host={service.address}", f"--dashboard-port={config.dashboard_port}"]
    command += ["--include-dashboard=true", f"--dashboard-agent-listen-port={free_port('Ray')}"]
    # Ray's own range is the same for every Ray of a machine.
    command += ["--min-worker-port=0", "--max-worker-port=0"]
    command += [f"--temp-dir={service.folder.ray / 'r'}", f"--object-store-memory={_STORE_BYTES}"]
    command += ["--include-log-monitor=false", "--disable-usage-stats"]
    command += [f"--num-cpus={config.cpus}"] if config.cpus is not None else []
    return command + ([f"--num-gpus={config.gpus}"] if config.gpus is not None else [])


def _environment(service: Service) -> Mapping[str, str]:
    ours = base_environment(service)
    programs = str(Path(sys.executable).parent)
    return {
        **RAY_ENVIRONMENT,
        # Timeout of an orderly stop of a study; Ray's default is 3 s.
        "RAY_JOB_STOP_WAIT_TIME_S": "30",
        **ours,
        **ensure_token().environment(),
        **_network_environment(service),
        # `challenger-study` of this very environment comes first.
        "PATH": f"{programs}{os.pathsep}{ours.get('PATH', os.defpath)}",
        START_HOOK: "cluster.service.ray_component.disable_client_server",
        **_study_environment(service),
    }


def _network_environment(service: Service) -> Mapping[str, str]:
    loopback = {} if service.is_open else LOOPBACK
    return {**NO_METRICS, **loopback, **service.tls}


def prepare_driver_environment(service: Service) -> None:
    """Set the variables of a driver on this machine; before it imports Ray.

    Without them Ray replaces 127.0.0.1 by another address of the machine, on which the head does
    not listen.
    """
    prepare_environment()
    os.environ.update(_network_environment(service))


def _study_environment(service: Service) -> Mapping[str, str]:
    """Return the variables of studies: storage, database and tracking, with the passwords."""
    variables = {"CHALLENGER_STORAGE": str(service.config.storage)}
    if service.config.data_root is not None:
        variables["CHALLENGER_DATA"] = str(service.config.data_root)
    if service.config.has_postgres:
        variables["CHALLENGER_DATABASE"] = database_url(read_login(service.folder.postgres))
    return {**variables, "CHALLENGER_TRACKING_URI": _tracking_uri(service)}


def _tracking_uri(service: Service) -> str:
    credentials = f"{ADMIN_USER}:{read_passwords(service.folder).admin}"
    return f"http://{credentials}@{service.address}:{service.config.mlflow_port}"


def _create_folder(folder: Path) -> None:
    remove_ray_folder(folder)
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise ClusterError(
            f"{folder} must not exist before Ray's start, but: {error.strerror}; delete it."
        ) from None


def remove_ray_folder(folder: Path) -> None:
    """Delete Ray's folder, unless another user owns it: names below ``/tmp`` can be guessed."""
    with suppress(FileNotFoundError):
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)


def _health_error(service: Service) -> str | None:
    url = f"{service.dashboard}/api/v0/nodes?limit=1000"
    response = http_get(url, require_token().headers())
    if response.status != 200:
        return response.reason
    listed: list[dict[str, Any]] = response.json()["data"]["result"]["result"]
    if not any(node["is_head_node"] and node["state"] == "ALIVE" for node in listed):
        return "its head node has not registered"
    anonymous = http_get(url)
    return None if anonymous.status == 401 else f"it answers without a token ({anonymous.status})"


def _stop(daemon: DaemonProcess, _: Service) -> None:
    # An orderly stop waits half a minute for work to move to other nodes. The drivers have ended
    # before, and Ray's objects are not read again.
    daemon.kill()


RAY: Final = Component(
    name="ray",
    title="Ray",
    # Two busy cores took 40 s.
    timeout_s=240.0,
    endpoint=lambda service: f"{service.head}, dashboard and jobs at {service.dashboard}",
    ports=_ports,
    prepare=_prepare,
    health_error=_health_error,
    stop=_stop,
    kill=_stop,
)
