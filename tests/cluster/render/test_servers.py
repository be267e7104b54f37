"""The servers of a launch file, as it starts them, on a real PostgreSQL."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import optuna
import psycopg
import pytest
import yaml

from tests.cluster.render.variants import variant_text

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

PASSWORD = "password-of-the-test"
PROGRAMS = Path(sys.executable).parent


@pytest.fixture
def compose():
    """Return the Compose file with all servers."""
    return yaml.safe_load(variant_text("compose-rich"))


@pytest.fixture
def database(postgres, compose):
    """Create the launch file's databases; the server has the same user."""
    address = postgres.url.replace("+psycopg", "")
    made = compose["configs"]["databases.sql"]["content"].splitlines()
    names = ["challenger", *(re.fullmatch(r"CREATE DATABASE (\w+);", line)[1] for line in made)]
    with psycopg.connect(address, autocommit=True) as control:
        control.execute("CREATE DATABASE challenger")
        for line in made:
            control.execute(line)
    yield urlsplit(address)
    with psycopg.connect(address, autocommit=True) as control:
        for name in names:
            control.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def run(compose, database, tmp_path):
    """Return a context that starts a service of the file on this machine and yields its port."""
    place = f"{database.hostname}:{database.port}"
    line = f"{place}:*:challenger:{database.password}\n"
    (tmp_path / "pgpass").write_text(line, encoding="utf-8")
    (tmp_path / "pgpass").chmod(0o600)
    users = compose["configs"]["users.ini"]["content"]
    (tmp_path / "users.ini").write_text(users.replace("postgres:5432", place), encoding="utf-8")
    for name in ("mlflow_key", "mlflow_password"):
        (tmp_path / name).write_text(PASSWORD, encoding="utf-8")
    places = {
        "postgres:5432": place,
        "/etc/mlflow": str(tmp_path),
        "/run/secrets": str(tmp_path),
        "/artifacts": str(tmp_path / "artifacts"),
        "0.0.0.0": "127.0.0.1",
        "$$": "$",
    }

    def here(value: str) -> str:
        for there, place in places.items():
            value = value.replace(there, place)
        return value

    @contextlib.contextmanager
    def start(name: str, path: str) -> Iterator[int]:
        port = free_port()
        service = compose["services"][name]
        (published,) = service["ports"]
        inner = published.rpartition(":")[2]
        command = [re.sub(rf"\b{inner}\b", str(port), here(word)) for word in service["command"]]
        environment = {key: here(value) for key, value in service["environment"].items()}
        environment |= {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "HOME": str(tmp_path)}
        with (tmp_path / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, cwd=tmp_path, process_group=0
            )
        try:
            end = time.monotonic() + 240
            while answer(port, path)[0] != 200:
                assert process.poll() is None, (tmp_path / f"{name}.log").read_text()[-3000:]
                assert time.monotonic() < end, (tmp_path / f"{name}.log").read_text()[-3000:]
                time.sleep(0.5)
            yield port
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    return start


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answer(port: int, path: str, data: bytes | None = None, **headers: str) -> tuple[int, str]:
    """Request a page; return the status, 0 for a failed connection, and the page."""
    headers = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as page:
            return page.status, page.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(errors="replace")
    except OSError:
        return 0, ""


def test_mlflow_starts_and_requires_the_password(run, tmp_path):
    search = ("/api/2.0/mlflow/experiments/search", b'{"max_results": 5}')
    login = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    wrong = base64.b64encode(f"admin:{secrets.token_hex(4)}".encode()).decode()
    with run("mlflow", "/health") as port:
        assert answer(port, *search)[0] == 401
        assert answer(port, *search, Authorization=f"Basic {wrong}")[0] == 401
        status, page = answer(port, *search, Authorization=f"Basic {login}")
        assert (status, "Default" in page) == (200, True)
        for host, expected in {"mlflow:5000": 200, "mlflow": 200, "elsewhere.org": 403}.items():
            status, _ = answer(port, *search, Authorization=f"Basic {login}", Host=host)
            assert status == expected, host
        assert "Default" in _experiments_by_file(port, tmp_path)
    assert not list(tmp_path.glob("*.db"))


def _experiments_by_file(port: int, home: Path) -> str:
    """Search as a driver does, with the credentials file of the launch file's commands."""
    (form,) = set(re.findall(r"printf '(\[mlflow\].*)' admin", variant_text("compose-rich")))
    (home / ".mlflow").mkdir()
    written = form.replace("\\n", "\n") % ("admin", PASSWORD)
    (home / ".mlflow" / "credentials").write_text(written, encoding="utf-8")
    code = f"from mlflow import MlflowClient; c = MlflowClient('http://127.0.0.1:{port}')"
    ended = subprocess.run(
        [sys.executable, "-c", f"{code}; print(c.search_experiments())"],
        env={"HOME": str(home), "PATH": os.environ["PATH"], "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout


def test_optunas_dashboard_shows_a_study_and_cannot_change_it(run, database):
    url = database._replace(scheme="postgresql+psycopg", path="/challenger").geturl()
    storage = optuna.storages.RDBStorage(url)
    study = optuna.create_study(study_name="shown", storage=storage)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    with run("dashboard", "/api/studies") as port:
        assert '"shown"' in answer(port, "/api/studies")[1]
        status, _ = answer(port, f"/api/studies/{study._study_id}/rename", b'{"study_name": "x"}')
        assert status >= 400
        assert '"shown"' in answer(port, "/api/studies")[1]
    assert [one.study_name for one in optuna.get_all_study_summaries(storage)] == ["shown"]
    storage.remove_session()
    storage.engine.dispose()
