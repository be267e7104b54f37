"""How MLflow's server is started: its command line, and its settings with or without passwords."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_EXTENSION: Final = "basic-auth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What a server needs that asks everybody for user and password.

    Attributes:
        config: MLflow's file of settings for it, which names the database of users.
        password: The administrator's; MLflow reads it when there are no users yet.
        session_key: Signs its pages' forms.
        hosts: Names and addresses by which browsers and clients call it.
        port: Its port.
    """

    config: Path
    password: str = field(repr=False)
    session_key: str = field(repr=False)
    hosts: tuple[str, ...]
    port: int

    def environment(self) -> dict[str, str]:
        """Give its settings as environment variables."""
        # MLflow compares the Host header as it comes, with the port or without.
        hosts = [name for host in self.hosts for name in (host, f"{host}:*")]
        return {
            "MLFLOW_AUTH_ADMIN_PASSWORD": self.password,
            "MLFLOW_AUTH_CONFIG_PATH": str(self.config),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": self.session_key,
            "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(hosts),
            # Its own pages come from there.
            "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(
                f"http://{host}:{self.port}" for host in self.hosts
            ),
        }


def server_command(host: str, port: int, *, is_guarded: bool = False) -> list[str]:
    """Give the command line of MLflow's server. The database is not in it: it may be secret."""
    command = [sys.executable, "-P", "-m", "cluster.mlflow_program", "server"]
    command += ["--host", host, "--port", str(port)]
    command += ["--workers", "1", "--uvicorn-opts", "--log-level warning"]
    return [*command, "--app-name", _EXTENSION] if is_guarded else command


def server_environment(
    storage_uri: str, artifacts: Path, guard: Guard | None = None
) -> dict[str, str]:
    """Give the settings of MLflow's server as environment variables."""
    return {
        "DO_NOT_TRACK": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        "MLFLOW_ARTIFACTS_DESTINATION": artifacts.absolute().as_uri(),
        "MLFLOW_BACKEND_STORE_URI": storage_uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        **(guard.environment() if guard is not None else {}),
    }
