"""The local MLflow server that ``challenger-study mlflow`` runs, with safe defaults."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from cluster.mlflow_server import server_command, server_environment
from cluster.ports import Port
from cluster.process import StartupWait, cpu_seconds, session_pids, terminate_session
from cluster.service.folder import ServiceFolder
from cluster.service.http_client import http_get
from cluster.service.mlflow_component import basic_headers, create_auth
from study.records.errors import TrackingError
from study.tracking.saved_views import VIEW_TAG, WORKFLOW, is_first_view, view_address

# A fresh database took 22 s on two shared cores; it may be longer while the server works.
_STARTUP_TIMEOUT_S: Final = 180.0

_HOST: Final = "127.0.0.1"
_MOST_LINKS: Final = 20
_FOREIGN: Final = ("MLFLOW_", "_MLFLOW_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the server that runs.

    Attributes:
        name: The study's name; empty for the first page.
        address: Where it is; a browser asks for user and password there.
        login: The same, with the password of this start of the server.
        file: File with the address that lets in; its mode is 600.
    """

    name: str
    address: str
    login: str = field(repr=False)
    file: Path


def serve(
    storage_uri: str,
    artifacts: Path,
    service: Path,
    *,
    port: int = 5000,
    announce: Callable[[Page], None],
) -> int:
    """Run MLflow's server on a local store until Ctrl-C or until it ends by itself.

    It listens on this machine only, asks everybody for a password, has one worker, runs no jobs
    of its own (its default is ten processes and 2.4 GB) and sends no telemetry. MLflow's check of
    the Host header stays on.

    Args:
        storage_uri: The database, ``sqlite:////absolute/mlflow.db``.
        artifacts: Folder in which the server keeps artifacts; it opens no others.
        service: Folder of the passwords, and of the file with the link that needs none, which is
            there for as long as the server runs. Both are for their owner alone.
        port: Port to listen on.
        announce: Called with MLflow's first page and one per study, the latest first, once the
            server answers.

    Returns:
        0 after Ctrl-C or SIGTERM, otherwise the server's own exit code.

    Raises:
        TrackingError: If the server ends before it answers.
        ClusterError: If the port is taken, or the folder of passwords cannot be used.
    """
    Port(
        address=_HOST, number=port, server="mlflow", remedy="choose another port with --port"
    ).require_free()
    address = f"http://{_HOST}:{port}"
    folder = ServiceFolder(root=service)
    folder.prepare()
    guard = create_auth(folder, (_HOST, "localhost"), port)
    # Another server's settings are not this one's.
    ours = {k: text for k, text in os.environ.items() if not k.startswith(_FOREIGN)}
    environment = {**ours, **server_environment(storage_uri, artifacts, guard)}
    link = folder.link(port)
    try:
        with (
            _sigterm_interrupts(),
            _running(server_command(_HOST, port), environment) as process,
        ):
            _wait_until_ready(process, address)
            for name, fragment in _pages(address, basic_headers(folder)):
                announce(
                    Page(
                        name=name,
                        address=f"{address}/{fragment}",
                        login=f"{guard.link}{fragment}",
                        file=link,
                    )
                )
            return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        link.unlink(missing_ok=True)


def _pages(address: str, headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield names and fragments of MLflow's first page and of the latest studies' own.

    A click in MLflow's list forgets the kind of work.
    """
    yield "", f"#/experiments?{WORKFLOW}"
    query = {
        "max_results": _MOST_LINKS,
        "filter": "tags.study LIKE '%'",
        "order_by": "last_update_time DESC",
    }
    url = f"{address}/api/2.0/mlflow/experiments/search?{urlencode(query)}"
    for one in http_get(url, headers, timeout_s=30).json().get("experiments", []):
        tags = {tag["key"]: tag["value"] for tag in one.get("tags", [])}
        view = next((key for key, value in tags.items() if is_first_view(key, value)), VIEW_TAG)
        yield one["name"], view_address(one["experiment_id"], view.removeprefix(VIEW_TAG))


def _wait_until_ready(process: subprocess.Popen[bytes], address: str) -> None:
    wait = StartupWait(_STARTUP_TIMEOUT_S)
    while not wait.is_over(cpu_seconds(session_pids(process.pid))):
        if process.poll() is not None:
            raise TrackingError(
                f"mlflow: the server at {address} must start, but it ended with exit code "
                f"{process.returncode}; its own message stands above"
            )
        if http_get(f"{address}/health").status == 200:
            return
        time.sleep(0.2)
    raise TrackingError(
        f"mlflow: the server must answer at {address}/health, but has not for "
        f"{wait.waited_s:.0f} s; look at its messages above, and start it again when the machine "
        "is less busy"
    )


@contextmanager
def _running(
    command: list[str], environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the server in a session of its own, of which nothing outlives the block."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=2,  # its chatter is no result of ours
        start_new_session=True,
    )
    try:
        yield process
    finally:
        terminate_session(process)


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM end the server as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
