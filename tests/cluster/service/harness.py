"""The service of a machine by its real commands, in a storage of its own below /tmp."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from cluster.ports import free_port
from cluster.process import command_line, processes
from cluster.service import ServiceFolder, stop_service
from cluster.service.config import Service, read_service
from cluster.service.daemon import has_instance_id
from cluster.service.mlflow_component import read_passwords

CLUSTER_COMMAND = (str(Path(sys.executable).parent / "challenger-study"), "cluster")


@dataclass(slots=True, kw_only=True)
class ServiceHarness:
    """Commands on one storage folder; ``ports`` are the same for all of them."""

    home: Path
    ports: tuple[int, int, int] = field(
        default_factory=lambda: (free_port("Ray"), free_port("Ray"), free_port("MLflow"))
    )

    @property
    def storage(self) -> Path:
        """Folder of the results."""
        return self.home / "storage"

    @property
    def folder(self) -> ServiceFolder:
        """The service's folder."""
        return ServiceFolder(root=self.storage / "service")

    @property
    def service(self) -> Service:
        """The service that runs."""
        service = read_service(self.folder)
        assert service is not None
        return service

    @property
    def tracking_uri(self) -> str:
        """MLflow's address as the service's processes know it."""
        password = read_passwords(self.folder).admin
        return f"http://admin:{password}@{self.service.address}:{self.ports[2]}"

    @property
    def token(self) -> Path:
        """The user's token."""
        return self.home / ".ray" / "auth_token"

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers with the token."""
        return {"Authorization": f"Bearer {self.token.read_text()}"}

    def environment(self) -> Mapping[str, str]:
        """Return an environment with its own home, without the test run's settings."""
        foreign = ("CHALLENGER_", "MLFLOW_", "RAY_", "TUNE_", "PYTEST_")
        kept = {k: text for k, text in os.environ.items() if not k.startswith(foreign)}
        return {**kept, "HOME": str(self.home), "COLUMNS": "200"}

    def up(self, *options: str) -> Sequence[str]:
        """Return the command line of ``cluster up``."""
        names = ("--port", "--dashboard-port", "--mlflow-port")
        ports = [f"{name}={port}" for name, port in zip(names, self.ports, strict=True)]
        return (*CLUSTER_COMMAND, "up", *ports, "--cpus=2", f"--storage={self.storage}", *options)

    def down(self) -> Sequence[str]:
        """Return the command line of ``cluster down``."""
        return (*CLUSTER_COMMAND, "down", f"--storage={self.storage}")

    def run(self, command: Sequence[str], code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, which must have an exit code."""
        done = subprocess.run(
            command,
            env=self.environment(),
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a command."""
        return subprocess.Popen(
            command,
            env=self.environment(),
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def state(self, code: int = 0) -> dict[str, Any]:
        """Return the status."""
        done = self.run((*CLUSTER_COMMAND, "status", "--json", f"--storage={self.storage}"), code)
        read: dict[str, Any] = json.loads(done.stdout)
        return read

    def left(self, instance_id: str) -> list[str]:
        """Return the processes of the service, and those whose command line names it."""
        names = (str(self.storage), str(self.folder.ray))
        return [
            f"{each.pid} {title}"
            for each in processes()
            if any(name in (title := command_line(each.pid)) for name in names)
            or has_instance_id(each.pid, instance_id)
        ]

    def remove(self) -> None:
        """Stop the processes of a failed test, and delete all files."""
        stop_service(self.folder, lambda _: None)
        shutil.rmtree(self.home, ignore_errors=True)


def make_harness() -> ServiceHarness:
    """Make a storage that PostgreSQL's user under root can access."""
    home = Path(tempfile.mkdtemp(prefix="lab-", dir="/tmp"))
    home.chmod(0o755)
    return ServiceHarness(home=home)


def listening(pids: Sequence[int]) -> list[tuple[str, str]]:
    """Return address and program of all sockets that processes listen on."""
    names = {each.pid: each.info["name"] for each in psutil.process_iter(["name"])}
    return [
        (f"{connection.laddr.ip}:{connection.laddr.port}", names[connection.pid])
        for connection in psutil.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
        and connection.pid in pids
        and connection.pid in names
    ]


def call(
    url: str,
    headers: Mapping[str, str] | None = None,
    content: Any = None,  # noqa: ANN401
) -> tuple[int, str]:
    """Send a request; return status and body."""
    data = None if content is None else json.dumps(content).encode()
    given = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, headers=given, data=data)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def own_address() -> str | None:
    """Return an address of this machine that is not loopback, or None."""
    found = psutil.net_if_addrs().values()
    addresses = [each.address for one in found for each in one if each.family == socket.AF_INET]
    return next((each for each in addresses if not each.startswith("127.")), None)
