"""The configuration of a service, and the record of one that runs."""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from cluster.errors import ClusterError
from cluster.service.folder import ServiceFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """Configuration of a service.

    Attributes:
        storage: Folder of the studies.
        tracking_database: MLflow's SQLite file.
        artifacts: Folder of MLflow's artifacts.
        data_root: Folder with datasets, or None.
        host: Address by which other machines reach this one; None for this machine alone.
        cpus: CPUs for trials on this machine; None for all.
        gpus: GPUs for trials on this machine; None for all.
        has_postgres: Whether the Optuna database is a PostgreSQL of the service's own.
        port: Port of Ray's head.
        dashboard_port: Port of Ray's dashboard and Jobs API.
        mlflow_port: Port of MLflow's server.
        tls_cert: Certificate of this machine, for Ray's calls among its processes; or None.
        tls_key: Its key.
        tls_ca: Certificate of its issuer, and those of the other machines.
    """

    storage: Path
    tracking_database: Path
    artifacts: Path
    data_root: Path | None = None
    host: str | None = None
    cpus: int | None = None
    gpus: int | None = None
    has_postgres: bool = False
    port: int = 6379
    dashboard_port: int = 8265
    mlflow_port: int = 5000
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None


_CONFIG: Final = TypeAdapter(ServiceConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service that runs or will be started.

    Attributes:
        folder: Its folder.
        config: Its configuration.
        instance_id: Random mark in the environment of its processes.
    """

    folder: ServiceFolder
    config: ServiceConfig
    instance_id: str

    @property
    def address(self) -> str:
        """Address that its components listen on."""
        return self.config.host or "127.0.0.1"

    @property
    def is_open(self) -> bool:
        """Whether it listens beyond this machine."""
        return self.config.host is not None

    @property
    def head(self) -> str:
        """Ray's head, as ``ray start --address`` takes it."""
        return f"{self.address}:{self.config.port}"

    @property
    def dashboard(self) -> str:
        """Ray's dashboard, to which studies are submitted."""
        return f"http://{self.address}:{self.config.dashboard_port}"

    @property
    def mlflow(self) -> str:
        """MLflow's server."""
        return f"http://{self.address}:{self.config.mlflow_port}"

    @property
    def tls(self) -> Mapping[str, str]:
        """Variables of Ray's TLS; empty without a certificate."""
        if self.config.tls_cert is None:
            return {}
        return {
            "RAY_USE_TLS": "1",
            "RAY_TLS_SERVER_CERT": str(self.config.tls_cert),
            "RAY_TLS_SERVER_KEY": str(self.config.tls_key),
            "RAY_TLS_CA_CERT": str(self.config.tls_ca),
        }

    def write(self) -> None:
        """Write its record."""
        config = _CONFIG.dump_python(self.config, mode="json")
        content = {"instance_id": self.instance_id, "config": config}
        self.folder.write_private(self.folder.record, json.dumps(content, indent=2))


def read_service(folder: ServiceFolder) -> Service | None:
    """Return the service that runs, or ran until it crashed; None if there is none.

    Raises:
        ClusterError: If the record cannot be read.
    """
    try:
        content = json.loads(folder.record.read_text(encoding="utf-8"))
        config = _CONFIG.validate_python(content["config"])
        return Service(folder=folder, config=config, instance_id=content["instance_id"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ClusterError(
            f"{folder.record} must describe a service, but cannot be read "
            f"({type(error).__name__}: {error}); restore it, or delete it once the service's "
            "processes have ended."
        ) from None


def create_service(folder: ServiceFolder, config: ServiceConfig) -> Service:
    """Return a service that does not run yet."""
    return Service(folder=folder, config=config, instance_id=secrets.token_hex(16))


def merge_config(
    recorded: ServiceConfig, requested: ServiceConfig, given: AbstractSet[str]
) -> ServiceConfig:
    """Return the recorded configuration, with the ``given`` fields of the requested one."""
    changes: dict[str, Any] = {name: getattr(requested, name) for name in given}
    return dataclasses.replace(recorded, **changes)


def differences(recorded: ServiceConfig, wanted: ServiceConfig) -> tuple[str, ...]:
    """Return the settings that differ, as ``port: 6379, not 6380``."""
    names = (field.name for field in dataclasses.fields(ServiceConfig))
    pairs = ((name, getattr(recorded, name), getattr(wanted, name)) for name in names)
    return tuple(f"{name}: {old}, not {new}" for name, old, new in pairs if old != new)
