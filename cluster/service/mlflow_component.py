"""MLflow's server as a component of the service, and its passwords.

Every client needs user and password; the administrator's are created once and kept.
"""

from __future__ import annotations

import base64
import json
import secrets
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from cluster.errors import ClusterError
from cluster.mlflow_server import BasicAuth, server_command, server_environment
from cluster.ports import Port
from cluster.service.component import Component, base_environment, umask_of
from cluster.service.config import Service
from cluster.service.daemon import DaemonProcess, ProcessSpec
from cluster.service.folder import ServiceFolder
from cluster.service.http_client import http_get

ADMIN_USER: Final = "admin"
_AUTH_CONFIG: Final = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{users}
admin_username = {admin}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowPasswords:
    """Secrets in the environment of MLflow's server.

    Attributes:
        admin: Password of the administrator, its first user.
        session_key: Key that signs the forms of its pages.
    """

    admin: str = field(repr=False)
    session_key: str = field(repr=False)


def ensure_passwords(folder: ServiceFolder) -> MlflowPasswords:
    """Return a service's passwords, created once, and write MLflow's configuration of users."""
    if not folder.passwords.exists():
        made = MlflowPasswords(admin=secrets.token_urlsafe(24), session_key=secrets.token_hex(32))
        folder.write_private(folder.passwords, json.dumps(asdict(made)))
    folder.write_private(
        folder.auth_config, _AUTH_CONFIG.format(users=folder.users, admin=ADMIN_USER)
    )
    return read_passwords(folder)


def create_auth(folder: ServiceFolder, hosts: tuple[str, ...], port: int) -> BasicAuth:
    """Return the authentication of a server before its start, and write its owner's link.

    Args:
        folder: Folder of the passwords.
        hosts: Names and addresses by which browsers and clients call it, the first in links.
        port: Its port.

    Raises:
        ClusterError: If MLflow's server cannot open a database in that folder.
    """
    if unfit := sorted(set("?%#") & set(str(folder.root))):
        raise ClusterError(
            f"{folder.root} must be a path without {' and '.join(unfit)} to hold the databases of "
            "MLflow's server; name another folder with --storage."
        )
    passwords = ensure_passwords(folder)
    auth = BasicAuth(
        config=folder.auth_config,
        password=passwords.admin,
        session_key=passwords.session_key,
        login=secrets.token_urlsafe(24),
        hosts=hosts,
        port=port,
    )
    folder.write_private(folder.link(port), f"{auth.link}\n")
    return auth


def basic_headers(folder: ServiceFolder) -> Mapping[str, str]:
    """Return the headers of a request to MLflow by one of our own processes."""
    credentials = f"{ADMIN_USER}:{read_passwords(folder).admin}".encode()
    return {"Authorization": f"Basic {base64.b64encode(credentials).decode()}"}


def read_passwords(folder: ServiceFolder) -> MlflowPasswords:
    """Return a service's passwords.

    Raises:
        ClusterError: If they cannot be read.
    """
    try:
        return MlflowPasswords(**json.loads(folder.passwords.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ClusterError(
            f"{folder.passwords} must hold MLflow's passwords, but: {type(error).__name__}; "
            f"restore it, or delete it together with {folder.users}, which makes new ones."
        ) from None


_STOP_TIMEOUT_S: Final = 10.0


def _ports(service: Service) -> tuple[Port, ...]:
    return (
        Port(
            address=service.address,
            number=service.config.mlflow_port,
            server="MLflow's server",
            remedy="choose another port with --mlflow-port",
        ),
    )


def _prepare(service: Service) -> ProcessSpec:
    config = service.config
    store = f"sqlite:///{config.tracking_database}"
    auth = create_auth(service.folder, _hosts(service), config.mlflow_port)
    settings = server_environment(store, config.artifacts, auth)
    return ProcessSpec(
        command=server_command(service.address, config.mlflow_port),
        environment={**base_environment(service), **settings},
        folder=service.folder.root,
        log=service.folder.log("mlflow"),
        umask=umask_of(service),
    )


def _hosts(service: Service) -> tuple[str, ...]:
    names = {socket.gethostname(), socket.getfqdn()} if service.is_open else {"localhost"}
    return (service.address, *sorted(names - {service.address}))


def _health_error(service: Service) -> str | None:
    health = http_get(f"{service.mlflow}/health")
    if health.status != 200:
        return health.reason
    url = f"{service.mlflow}/api/2.0/mlflow/experiments/get?experiment_id=0"
    known = http_get(url, basic_headers(service.folder))
    if known.status != 200:
        return f"it refuses its own password: {known.reason}"
    anonymous = http_get(url)
    return (
        None if anonymous.status == 401 else f"it answers without a password ({anonymous.status})"
    )


def _stop(daemon: DaemonProcess, _: Service) -> None:
    daemon.terminate(_STOP_TIMEOUT_S)


def _kill(daemon: DaemonProcess, _: Service) -> None:
    daemon.kill()


MLFLOW: Final = Component(
    name="mlflow",
    title="MLflow",
    # A fresh database took 22 s on two busy cores.
    timeout_s=240.0,
    endpoint=lambda service: service.mlflow,
    ports=_ports,
    prepare=_prepare,
    health_error=_health_error,
    stop=_stop,
    kill=_kill,
)
