"""``cluster check``: protection of a service against other accounts and machines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.auth import require_token
from cluster.port_owner import foreign_listener
from cluster.postgres import server_account
from cluster.service.components import enabled_components
from cluster.service.config import Service, read_service
from cluster.service.folder import ServiceFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check.

    Attributes:
        what: A file, a folder or a server.
        state: Owner and mode, or the server's state.
        fault: Why that is not safe, and the remedy; or None.
    """

    what: str
    state: str
    fault: str | None


def check_service(folder: ServiceFolder) -> tuple[Finding, ...]:
    """Check files, folders, ports and responses of a service; return nothing if there is none.

    Raises:
        ClusterError: If its record or Ray's token cannot be read.
    """
    service = read_service(folder)
    if service is None:
        return ()
    return (*_files(service), *_servers(service))


def _files(service: Service) -> Iterator[Finding]:
    folder = service.folder
    # The account of root's PostgreSQL passes through these.
    passable = 0o011 if service.config.has_postgres and server_account() is not None else 0
    yield _shared(service.config.storage)
    yield _private(folder.root, passable)
    token = require_token().file
    secrets = [folder.passwords, folder.auth_config, folder.users, folder.record]
    secrets += [folder.link(service.config.mlflow_port), folder.ray, folder.logs]
    secrets += [folder.postgres / "login.json"] if service.config.has_postgres else []
    for path in (*secrets, *([] if token is None else [token])):
        if path.exists():
            yield _private(path, 0)


def _private(path: Path, passable: int) -> Finding:
    status = path.stat()
    mode = status.st_mode & 0o777
    fault = None
    if mode & 0o077 & ~passable:
        wanted = 0o700 | passable if path.is_dir() else 0o600
        fault = f"others may open it; run 'chmod {wanted:o} {path}'"
    elif status.st_uid != os.geteuid():
        fault = f"it belongs to another account; run 'chown {os.geteuid()} {path}'"
    return Finding(what=str(path), state=_owner_and_mode(path), fault=fault)


def _shared(storage: Path) -> Finding:
    """Check the storage, which its owner may share with a group but not with all accounts."""
    others = storage.stat().st_mode & 0o006
    fault = f"all accounts may read it; run 'chmod o-rw {storage}'" if others else None
    return Finding(what=str(storage), state=_owner_and_mode(storage), fault=fault)


def _owner_and_mode(path: Path) -> str:
    status = path.stat()
    return f"account {status.st_uid}, mode {status.st_mode & 0o777:o}"


def _servers(service: Service) -> Iterator[Finding]:
    for component in enabled_components(service):
        for port in component.ports(service):
            user_id = foreign_listener("127.0.0.1", port.number)
            fault = None
            if user_id is not None:
                fault = f"the account with user ID {user_id} listens there; {port.remedy}"
            place = f"{port.address}:{port.number}"
            yield Finding(what=f"{port.server} at {place}", state="listens", fault=fault)
        # It connects with the secret and without; either may show a fault.
        error = component.health_error(service)
        yield Finding(
            what=component.title,
            state="requires its secret" if error is None else "",
            fault=None if error is None else f"{error}; see {service.folder.log(component.name)}",
        )
    if service.is_open:
        yield Finding(
            what=f"network of {service.address}",
            state="Ray's token and MLflow's passwords travel in clear unless Ray has TLS",
            fault=None,
        )
