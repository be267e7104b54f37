"""No password is in a file, a pickle, a log, a command line or MLflow."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from cluster.mlflow_server import server_command, server_environment
from cluster.service.folder import ServiceFolder
from cluster.service.mlflow_component import create_auth
from tests.study.fault_tolerance.shell import TIMEOUT_S, Shell
from tests.support.simulated import study_text

SECRET = "sesame-opens-the-tracking-server"


@pytest.fixture
def server(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a real MLflow server and yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path / "mlflow"
    home.mkdir()
    # Beside what is searched.
    service = ServiceFolder(root=tmp_path_factory.mktemp("passwords"))
    service.prepare()
    made = {"admin": SECRET, "session_key": "poppy" * 8}
    service.write_private(service.passwords, json.dumps(made))
    guard = create_auth(service, ("127.0.0.1",), port)
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        **server_environment(f"sqlite:///{home}/mlflow.db", home / "artifacts", guard),
    }
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            server_command("127.0.0.1", port),
            env=environment,
            cwd=home,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    end = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health"):
            break
        time.sleep(0.2)
    yield f"127.0.0.1:{port}"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def command_lines() -> str:
    """Return the command lines of all processes of this machine."""
    found = psutil.process_iter(["cmdline"])
    return "\n".join(" ".join(process.info["cmdline"] or ()) for process in found)


def holding(folder: Path, *secrets: str) -> list[str]:
    """List the files that contain a secret, as it is or in base64 at any offset."""
    marks = [mark for secret in secrets for mark in marks_of(secret)]
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and any(mark in path.read_bytes() for mark in marks)
    ]


def marks_of(secret: str) -> Iterator[bytes]:
    yield secret.encode()
    for shift in range(3):
        # The text before and after changes only the ends.
        yield base64.b64encode(b"x" * shift + secret.encode())[4:-4]


def test_a_search_for_a_secret_finds_it(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text(f"http://me:{SECRET}@host")
    (tmp_path / "header").write_bytes(base64.b64encode(f"me:{SECRET}".encode()))
    (tmp_path / "none").write_text("nothing")
    assert {Path(name).name for name in holding(tmp_path, SECRET)} == {"plain", "header"}
    pending = [sys.executable, "-c", "print(flush=True); input()", SECRET]
    with subprocess.Popen(pending, stdin=-1, stdout=-1) as process:
        assert process.stdout is not None
        # For a moment after it was started, a process shows no command line.
        process.stdout.readline()
        assert SECRET in command_lines()
        process.kill()


@pytest.mark.ray
@pytest.mark.timeout(1200)
@pytest.mark.extended
def test_passwords_of_database_and_mlflow_are_nowhere(
    shell: Callable[[str], Shell], postgres_url: str, server: str
) -> None:
    on_ray = shell("ray")
    on_ray.database, on_ray.tracking = postgres_url, f"http://admin:{SECRET}@{server}"
    password = urlsplit(postgres_url).password
    assert password
    arms = [{"method": "base"}, {"method": "random"}]
    (on_ray.folder / "tiny.yaml").write_text(study_text(epochs=6, arms=arms))
    process = on_ray.start("run", "tiny.yaml")
    on_ray.until_reports(process, 5)
    shown = command_lines()
    assert "tiny.yaml" in shown
    assert SECRET not in shown
    assert password not in shown
    assert process.wait(TIMEOUT_S) == 0, on_ray.log.read_text()
    # The pickles of Ray and Tune, its logs and sessions, our files and logs, MLflow's store.
    assert list((on_ray.study / "ray").rglob("*.pkl"))
    for folder in (on_ray.folder, on_ray.ray):
        assert holding(folder, SECRET, password) == []
    with closing(sqlite3.connect(on_ray.folder / "mlflow" / "mlflow.db")) as database:
        assert database.execute("SELECT count(*) FROM metrics").fetchone()[0] > 0
    shutil.rmtree(on_ray.ray, ignore_errors=True)
