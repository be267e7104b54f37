"""MLflow's server: its settings, and databases that are created whole or not at all."""

from __future__ import annotations

import contextlib
import fnmatch
import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking._tracking_service import utils

from cluster import mlflow_server
from cluster.mlflow_server import (
    BasicAuth,
    create_store_if_missing,
    relocate_artifacts,
    server_command,
    server_environment,
)
from cluster.ports import free_port
from study.records.errors import TrackingError
from study.tracking.mlflow_mirror import MlflowMirror
from study.tracking.record_types import LogArtifact, OpenRun
from study.tracking.tracking_uri import TrackingUri


def auth(folder: Path, *hosts: str) -> BasicAuth:
    return BasicAuth(
        config=folder / "auth.ini",
        password="sesame",
        session_key="poppy",
        login="linseed",
        hosts=hosts,
        port=5001,
    )


def test_neither_database_nor_passwords_are_on_the_command_line(tmp_path: Path) -> None:
    given = auth(tmp_path, "10.0.0.7", "lab")
    environment = server_environment("postgresql://ada:pw@db/m", tmp_path, given)
    assert environment["MLFLOW_BACKEND_STORE_URI"] == "postgresql://ada:pw@db/m"
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    # What MLflow starts imports nothing from the current folder.
    assert environment["PYTHONSAFEPATH"] == "1"
    command = server_command("127.0.0.1", 5000)
    assert command[command.index("--workers") + 1] == "1"
    assert command[command.index("--app-name") + 1] == "challenger"
    for secret in ("pw", "sesame", "poppy", "linseed"):
        assert secret not in " ".join(command)


def test_it_is_told_its_passwords_and_names_by_its_environment(tmp_path: Path) -> None:
    given = auth(tmp_path, "10.0.0.7", "lab")
    environment = server_environment("sqlite:////m.db", tmp_path, given)
    assert given.environment().items() <= environment.items()
    assert given.environment() == {
        "CHALLENGER_MLFLOW_LOGIN": "linseed",
        "MLFLOW_AUTH_ADMIN_PASSWORD": "sesame",
        "MLFLOW_AUTH_CONFIG_PATH": f"{tmp_path}/auth.ini",
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "poppy",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "10.0.0.7,10.0.0.7:*,lab,lab:*",
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": "http://10.0.0.7:5001,http://lab:5001",
    }
    for secret in ("sesame", "poppy", "linseed"):
        assert secret not in f"{given}"


@pytest.mark.parametrize(
    ("host", "shown"), [("10.0.0.7", "10.0.0.7"), ("localhost", "localhost"), ("::1", "[::1]")]
)
def test_the_owner_s_link_is_an_address_that_the_server_takes(
    tmp_path: Path, host: str, shown: str
) -> None:
    given = auth(tmp_path, host, "lab")
    assert given.link == f"http://owner:linseed@{shown}:5001/login"
    patterns = given.environment()["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    # As MLflow compares the Host header.
    assert any("*" in each and fnmatch.fnmatch(f"{shown}:5001", each) for each in patterns)


# MLflow's own use of what it imports.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.service]


def mirror(folder: Path, identity: str | None = None) -> MlflowMirror:
    """Return the mirror of a study named tiny in the MLflow of a folder."""
    return MlflowMirror(
        address=TrackingUri.parse(f"sqlite:///{folder}/mlflow.db"),
        experiment="tiny",
        artifacts=folder / "files",
        identity=identity,
    )


def connect(folder: Path) -> str:
    return mirror(folder).connect()


def test_a_process_that_is_killed_while_it_makes_the_database_leaves_none(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=connect, args=(tmp_path,))
    process.start()
    # Its tables are being made.
    while not any(path.stat().st_size for path in tmp_path.glob(".mlflow.db.tmp")):
        assert process.is_alive()
        time.sleep(0.005)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert not (tmp_path / "mlflow.db").exists()
    assert connect(tmp_path) == connect(tmp_path)


def test_of_two_that_begin_at_the_same_moment_one_makes_it(tmp_path, monkeypatch):
    made: list[str] = []

    def make(uri: str, _: str) -> None:
        made.append(uri)
        Path(uri.removeprefix("sqlite:///")).write_bytes(b"tables")
        time.sleep(0.5)

    monkeypatch.setattr(mlflow_server, "_create_store", make)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    threads = [
        threading.Thread(target=create_store_if_missing, args=(uri, "file:///files"))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [f"sqlite:///{tmp_path}/.mlflow.db.tmp"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mlflow.db.lock", "mlflow.db"]


def test_a_database_that_is_there_is_not_touched(tmp_path):
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE mine (number INTEGER)")
    before = path.read_bytes()
    create_store_if_missing(f"sqlite:///{path}", "file:///files")
    assert path.read_bytes() == before


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "postgresql://db/mlflow"])
def test_a_server_makes_its_own(uri, monkeypatch):
    monkeypatch.setattr(mlflow_server, "_create_store", lambda *_: pytest.fail("made"))
    create_store_if_missing(uri, "file:///files")


# The whole server, after the same with one database alone.
@pytest.mark.extended
def test_a_server_that_is_killed_while_it_makes_its_databases_starts_again(tmp_path):
    config = tmp_path / "auth.ini"
    config.write_text(
        "[mlflow]\ndefault_permission = READ\nadmin_username = admin\nadmin_password = x\n"
        f"database_uri = sqlite:///{tmp_path}/users.db\n"
    )
    port = free_port("MLflow")
    auth = BasicAuth(
        config=config,
        password="sesame-street",
        session_key="k",
        login="l",
        hosts=("127.0.0.1",),
        port=port,
    )
    environment = os.environ | server_environment(
        f"sqlite:///{tmp_path}/mlflow.db", tmp_path, auth
    )
    command = server_command("127.0.0.1", port)
    for name in ("mlflow.db", "users.db"):
        with running(command, environment) as server:
            while not any(path.stat().st_size for path in tmp_path.glob(f".{name}.tmp")):
                assert server.poll() is None
                time.sleep(0.005)
        assert not (tmp_path / name).exists()
    with running(command, environment) as server:
        while not is_well(port):
            assert server.poll() is None
            time.sleep(0.2)
    assert (tmp_path / "mlflow.db").exists()
    # Its owner's alone: passwords' hashes are in it.
    assert (tmp_path / "users.db").stat().st_mode & 0o777 == 0o600


@contextmanager
def running(
    command: list[str], environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in a session of its own, which ends by SIGKILL."""
    server = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        yield server
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def is_well(port: int) -> bool:
    with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).status == 200
    return False


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make MLflow's tables once: that takes seconds."""
    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    create_store_if_missing(f"sqlite:///{path}", "file:///files")
    return path


def opening(name: str) -> OpenRun:
    return OpenRun(
        run_key=f"arm/{name}",
        parent_key=None,
        name=name,
        start_ms=1,
        params={},
        tags={},
        dataset=None,
    )


@pytest.mark.parametrize("move", [shutil.move, shutil.copytree])
def test_a_storage_that_was_moved_or_copied_keeps_its_artifacts(
    tmp_path: Path, empty_store: Path, move: Callable[[Path, Path], object]
) -> None:
    old, new = tmp_path / "old place", tmp_path / "new"
    old.mkdir()
    shutil.copy(empty_store, old)
    before = mirror(old, "a" * 32)
    before.connect()
    run = before.create_run(opening("base"), None)
    figure = tmp_path / "figure.png"
    figure.write_bytes(b"figure")
    artifact = LogArtifact(run_key="arm/base", path=str(figure), artifact_folder="figures")
    before.send(run, [artifact])
    left = sorted(old.rglob("*.png"))
    move(old, new)
    # As in another process: MLflow remembers where a run's artifacts are.
    utils._artifact_repos_cache.clear()
    after = mirror(new, "a" * 32)
    after.connect()
    assert after.find_run("arm/base") == run
    # What comes later goes to the new place, and the old one is not made again.
    figure = figure.rename(tmp_path / "later.png")
    after.send(run, [replace(artifact, path=str(figure))])
    kept = new / "files" / run / "artifacts" / "figures"
    assert {path.name for path in kept.iterdir()} == {"figure.png", "later.png"}
    assert sorted(old.rglob("*.png")) == (left if move is shutil.copytree else [])
    client = mlflow.MlflowClient(f"sqlite:///{new}/mlflow.db")
    assert len(client.list_artifacts(run, "figures")) == 2
    made = client.get_run(client.create_run("1").info.run_id)
    assert made.info.artifact_uri.startswith((new / "files").as_uri())


def test_artifacts_at_other_places_are_not_relocated(tmp_path: Path, empty_store: Path) -> None:
    (tmp_path / "here").mkdir()
    shutil.copy(empty_store, tmp_path / "here")
    connect(tmp_path / "here")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/here/mlflow.db")
    places = ["file:///elsewhere/data", "s3://bucket/files", "mlflow-artifacts:/7"]
    for number, location in enumerate(places):
        client.create_experiment(f"foreign {number}", artifact_location=location)
    relocate_artifacts(f"sqlite:///{tmp_path}/here/mlflow.db", tmp_path / "there" / "files")
    found = {each.name: each.artifact_location for each in client.search_experiments()}
    assert [found[f"foreign {number}"] for number in range(3)] == places
    assert found["tiny"] == (tmp_path / "there" / "files").as_uri()


def test_studies_of_one_name_have_experiments_of_their_own_in_one_mlflow(
    tmp_path: Path, empty_store: Path
) -> None:
    shutil.copy(empty_store, tmp_path)
    first, second, third = (mirror(tmp_path, letter * 32) for letter in "abc")
    ids = [each.connect() for each in (first, second, third)]
    assert len(set(ids)) == 3
    # Each finds its own again.
    assert [mirror(tmp_path, letter * 32).connect() for letter in "abc"] == ids
    assert mirror(tmp_path).connect() == ids[0]
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    named = [client.get_experiment(each).name for each in ids]
    assert named == ["tiny", "tiny (bbbbbbbb)", "tiny (cccccccc)"]
    # Also when the name has become free.
    client.rename_experiment(ids[0], "another name")
    assert mirror(tmp_path, "b" * 32).connect() == ids[1]
    assert mirror(tmp_path, "a" * 32).connect() == ids[0]
    run = second.create_run(opening("base"), None)
    assert first.find_run("arm/base") is None
    assert client.get_run(run).data.tags["challenger.study_id"] == "b" * 32
    client.delete_experiment(ids[1])
    with pytest.raises(TrackingError, match="mlflow experiments restore --experiment-id"):
        second.connect()
