"""MLflow's server, which can be killed and started again at the same address."""

from __future__ import annotations

import contextlib
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cluster.mlflow_server import server_command, server_environment
from cluster.ports import free_port
from cluster.process import kill_session, start_session
from cluster.service.folder import ServiceFolder
from cluster.service.mlflow_component import ADMIN_USER, create_auth, ensure_passwords
from study.records.errors import TrackingError
from study.storage.sqlite import sqlite_url

_HOST: Final = "127.0.0.1"
# A fresh database takes 22 s on two busy cores.
_START_UP_S: Final = 180.0


class MlflowServer:
    """A server with its store in a folder. Has mutable state: its process."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Name a folder for database, files and log; starts nothing."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._environment = environment
        self._port = free_port("MLflow's server", _HOST)
        self._process: subprocess.Popen[bytes] | None = None
        self._service = ServiceFolder(root=folder.with_name(f"{folder.name}-passwords"))
        self._service.prepare()
        self.password = ensure_passwords(self._service).admin

    @property
    def uri(self) -> str:
        """Its address, with the password, which may not be written down anywhere."""
        return f"http://{ADMIN_USER}:{self.password}@{_HOST}:{self._port}"

    @property
    def database(self) -> Path:
        """Its SQLite file."""
        return self._folder / "mlflow.db"

    @property
    def artifacts(self) -> Path:
        """Where it keeps files."""
        return self._folder / "artifacts"

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The process that was started last."""
        return self._process

    def launch(self) -> None:
        """Start it, without waiting for an answer."""
        guard = create_auth(self._service, (_HOST,), self._port)
        settings = server_environment(sqlite_url(self.database), self.artifacts, guard)
        self._process = start_session(
            server_command(_HOST, self._port),
            {**self._environment, **settings},
            self._folder / "server.log",
            self._folder,
        )

    def wait(self) -> None:
        """Wait until it answers."""
        end = time.monotonic() + _START_UP_S
        while time.monotonic() < end:
            if self._process is None or self._process.poll() is not None:
                break
            with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
                urllib.request.urlopen(f"http://{_HOST}:{self._port}/health", timeout=5).close()
                return
            time.sleep(0.2)
        raise TrackingError(
            f"MLflow's server must answer within {_START_UP_S:.0f} s, but did not; look at "
            f"{self._folder / 'server.log'}"
        )

    def kill(self) -> None:
        """Kill it and all that it started."""
        if self._process is not None:
            kill_session(self._process)
