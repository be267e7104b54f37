"""One service on this machine with all components, from its start to its stop."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from cluster.errors import ClusterError
from cluster.postgres import PostgresServer, database_url, find_programs, read_login, server_pids
from cluster.process import command_line, processes
from cluster.service.components import COMPONENTS, find_daemon
from cluster.service.daemon import DaemonProcess, has_instance_id
from cluster.service.mlflow_component import basic_headers, read_passwords
from cluster.session import require_reachable
from tests.cluster.service.harness import (
    ServiceHarness,
    call,
    listening,
    make_harness,
)

pytestmark = [pytest.mark.ray, pytest.mark.postgres, pytest.mark.timeout(1800)]

# A driver: writes its variables, and takes a moment to stop in order.
_DRIVER = """
import json, os, pathlib, signal, sys, time
home = pathlib.Path(os.environ["CHALLENGER_STORAGE"])
def stop(*_):
    time.sleep(1)
    (home / "stopped").write_text("in order")
    sys.exit(130)
signal.signal(signal.SIGTERM, stop)
told = {k: v for k, v in os.environ.items() if k.startswith("CHALLENGER_")}
(home / "told.new").write_text(json.dumps(told))
(home / "told.new").rename(home / "told")
time.sleep(600)
"""


@pytest.fixture(scope="module")
def harness() -> Iterator[ServiceHarness]:
    """Start a service."""
    try:
        find_programs()
    except ClusterError as error:
        pytest.skip(str(error))
    harness = make_harness()
    said = harness.run(harness.up("--postgres"))
    assert said.stdout.startswith("The service runs.\n")
    yield harness
    harness.remove()


def daemons(harness: ServiceHarness) -> dict[str, DaemonProcess]:
    found = {component.name: find_daemon(component, harness.service) for component in COMPONENTS}
    return {name: each for name, each in found.items() if each is not None}


def pids(harness: ServiceHarness) -> list[int]:
    """Return all processes of the service."""
    component_pids = [pid for each in daemons(harness).values() for pid in each.pids()]
    marked = [p.pid for p in processes() if has_instance_id(p.pid, harness.service.instance_id)]
    return sorted({*component_pids, *marked, *server_pids(harness.folder.postgres)})


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def submit(harness: ServiceHarness, headers: dict[str, str]) -> tuple[int, str]:
    (harness.home / "driver.py").write_text(_DRIVER)
    return call(
        f"{harness.service.dashboard}/api/jobs/",
        headers,
        {"entrypoint": f"exec python {harness.home}/driver.py", "metadata": {"study": "mine"}},
    )


def test_the_service_outlives_the_command_and_has_a_status(harness: ServiceHarness) -> None:
    state = harness.state()
    assert state["is_healthy"] is True
    assert {component["title"]: component["state"] for component in state["components"]} == {
        "PostgreSQL": "answers",
        "MLflow": "answers",
        "Ray": "answers",
    }
    (node,) = state["nodes"]
    assert (node["address"], node["is_head"], node["is_alive"], node["cpus"]) == (
        "127.0.0.1",
        True,
        True,
        2.0,
    )
    assert state["slots"]["cpus"] == 2.0
    assert state["studies"] == state["queue"] == []


def test_a_second_up_changes_nothing_and_other_settings_are_refused(
    harness: ServiceHarness,
) -> None:
    before = pids(harness)
    said = harness.run(harness.up("--postgres"))
    assert said.stdout.startswith("The service runs already.\n")
    assert harness.service.dashboard in said.stdout
    # Settings that are not named stay.
    assert "PostgreSQL" in harness.run(harness.up()).stdout
    other = harness.run(harness.up("--no-postgres", "--gpus=1"), 2)
    assert other.stderr == (
        f"Error: the service in {harness.folder.root} runs with other settings (gpus: None, "
        "not 1; has_postgres: True, not False); leave them out to use it as it is, or stop it "
        "first with 'cluster down'.\n"
    )
    assert set(before) & set(pids(harness)) >= {each.pid for each in daemons(harness).values()}


def test_nothing_listens_beyond_this_machine(harness: ServiceHarness) -> None:
    found = listening(pids(harness))
    programs = {name for _, name in found}
    assert {"gcs_server", "raylet", "postgres"} <= programs
    assert len(found) > 6
    open_ones = [
        (address, name)
        for address, name in found
        if not address.startswith(("127.0.0.1:", "::ffff:127.0.0.1:"))
    ]
    assert open_ones == []


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer " + "0" * 64}])
def test_without_the_right_token_ray_refuses(
    harness: ServiceHarness, headers: dict[str, str]
) -> None:
    status, said = submit(harness, headers)
    assert status in (401, 403), said
    for path in ("api/jobs/", "api/v0/nodes", "api/cluster_status"):
        assert call(f"{harness.service.dashboard}/{path}", headers)[0] in (401, 403)
    assert not (harness.storage / "told").exists()


def test_a_study_gets_its_storage_by_the_environment_alone(
    harness: ServiceHarness,
) -> None:
    status, said = submit(harness, dict(harness.headers))
    assert status == 200, said
    wait_until((harness.storage / "told").exists)
    told = json.loads((harness.storage / "told").read_text())
    del told["CHALLENGER_SERVICE"]
    assert told == {
        "CHALLENGER_STORAGE": str(harness.storage),
        "CHALLENGER_DATABASE": database_url(read_login(harness.folder.postgres)),
        "CHALLENGER_TRACKING_URI": harness.tracking_uri,
    }
    (harness.storage / "told").unlink()
    (study,) = harness.state()["studies"]
    assert study["study"] == "mine"
    assert study["job"] == json.loads(said)["submission_id"]


def test_no_secret_is_in_a_command_line_a_log_a_record_or_a_job(harness: ServiceHarness) -> None:
    login = harness.folder.postgres / "login.json"
    secrets = {
        harness.token: harness.token.read_text(),
        login: read_login(harness.folder.postgres).password,
        harness.folder.passwords: read_passwords(harness.folder).admin,
        harness.folder.link(harness.ports[2]): harness.folder.link(harness.ports[2])
        .read_text()
        .split("@")[0],
    }
    lines = [command_line(each.pid) for each in processes()]
    files = [path for root in (harness.home, harness.folder.ray) for path in root.rglob("*")]
    listed = call(f"{harness.service.dashboard}/api/jobs/", harness.headers)[1]
    for own, secret in secrets.items():
        holding = [path for path in files if path.is_file() and secret in content(path)]
        assert holding == [own]
        assert own.stat().st_mode & 0o777 == 0o600
        assert not any(secret in line for line in lines)
        assert secret not in listed
    assert any(path.suffix == ".log" for path in files)


def content(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def test_other_users_cannot_read_the_service(harness: ServiceHarness) -> None:
    assert harness.folder.root.stat().st_mode & 0o066 == 0
    assert harness.folder.logs.stat().st_mode & 0o777 == 0o700
    assert harness.folder.ray.stat().st_mode & 0o777 == 0o700
    assert harness.token.parent.stat().st_mode & 0o777 == 0o700


# As after a start that was interrupted: test_interrupted_start.py.
@pytest.mark.extended
def test_killed_components_are_started_again_and_the_rest_left_alone(
    harness: ServiceHarness,
) -> None:
    before = daemons(harness)
    for name in ("ray", "postgres"):
        os.kill(before[name].pid, signal.SIGKILL)
    state = harness.state(code=1)
    assert {component["title"]: component["state"] for component in state["components"]} == {
        "PostgreSQL": "ended",
        "MLflow": "answers",
        "Ray": "ended",
    }
    # Ray's other processes do not all end with its first, and would block the next.
    said = harness.run(harness.up())
    assert "starting PostgreSQL, Ray\n" in said.stderr
    after = daemons(harness)
    assert after["mlflow"] == before["mlflow"]
    assert after["ray"] != before["ray"]
    assert before["ray"].pids() == ()
    # Ray itself kills the drivers of a head that is killed; their studies can be resumed.
    driver = str(harness.home / "driver.py")
    assert not any(driver in command_line(each.pid) for each in processes())
    assert harness.state()["is_healthy"] is True


def test_down_stops_all_processes_and_no_others_and_the_data_stays(
    harness: ServiceHarness, ray_address: str
) -> None:
    with psycopg.connect(
        database_url(read_login(harness.folder.postgres)).replace("+psycopg", "")
    ) as one:
        one.execute("CREATE TABLE kept (i int)")
    status, said = submit(harness, dict(harness.headers))
    assert status == 200, said
    wait_until((harness.storage / "told").exists)
    mark, ours, token = harness.service.instance_id, pids(harness), harness.token.read_text()
    experiments = f"{harness.service.mlflow}/api/2.0/mlflow/experiments/create"
    assert call(experiments, content={"name": "kept"})[0] == 401
    assert call(experiments, basic_headers(harness.folder), {"name": "kept"})[0] == 200
    # A process of a user who reads the logs: in the service's folder, which it names.
    reader = subprocess.Popen(
        ["tail", "-f", str(harness.folder.log("ray"))],
        cwd=harness.folder.root,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        ended = harness.run(harness.down())
        assert ended.stdout == "stopped: running drivers, Ray, MLflow, PostgreSQL.\n"
        assert (harness.storage / "stopped").read_text() == "in order"
        assert not set(ours) & {each.pid for each in processes()}
        assert [line for line in harness.left(mark) if not line.startswith(f"{reader.pid} ")] == []
        assert reader.poll() is None
        require_reachable(ray_address)
    finally:
        reader.kill()
        reader.wait()
    assert not harness.folder.ray.exists()
    assert harness.token.read_text() == token
    again = harness.run(harness.down())
    assert again.stdout == f"nothing to stop: no service runs for {harness.storage}.\n"
    with closing(sqlite3.connect(harness.storage / "mlflow.db")) as store:
        assert ("kept",) in store.execute("SELECT name FROM experiments").fetchall()
    # After a clean shutdown nothing is recovered.
    log = harness.folder.log("postgres").read_text()
    assert log.rstrip().endswith("database system is shut down")
    server = PostgresServer(harness.folder.postgres, stops_with_parent=True)
    server.start()
    try:
        with psycopg.connect(server.url.replace("+psycopg", "")) as one:
            assert one.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    finally:
        server.stop()


def test_a_taken_port_is_one_message_and_nothing_is_started(harness: ServiceHarness) -> None:
    with socket.socket() as taken:
        # Connections to the dashboard have ended a moment ago.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", harness.ports[1]))
        taken.listen()
        refused = harness.run(harness.up("--postgres"), 2)
    assert refused.stderr == (
        f"Error: Ray's dashboard needs 127.0.0.1:{harness.ports[1]}, but cannot have it "
        "(Address already in use); end the program that listens there, or choose another port "
        "with --dashboard-port.\n"
    )
    assert not harness.folder.record.exists()
    assert server_pids(harness.folder.postgres) == ()
