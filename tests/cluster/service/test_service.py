"""One service on this machine, with all its parts, from its first start to its end."""

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
from cluster.postgres import PostgresServer, url_of
from cluster.postgres_folder import read_login, server_processes
from cluster.postgres_programs import find_programs
from cluster.process_session import processes
from cluster.service.begun import Begun, is_marked
from cluster.service.parts import PARTS, begun_part
from cluster.session import require_answer
from tests.cluster.service.lab import Lab, call, command_line, listening, new_lab

pytestmark = [pytest.mark.ray, pytest.mark.postgres, pytest.mark.timeout(1800)]

# Looks like a driver: says what it was told, and takes a moment to leave in order.
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
def lab() -> Iterator[Lab]:
    """Give a service that runs."""
    try:
        find_programs()
    except ClusterError as error:
        pytest.skip(str(error))
    lab = new_lab()
    said = lab.run(lab.up("--postgres"))
    assert said.stdout.startswith("The service runs.\n")
    yield lab
    lab.remove()


def begun(lab: Lab) -> dict[str, Begun]:
    found = {part.name: begun_part(part, lab.setting) for part in PARTS}
    return {name: each for name, each in found.items() if each is not None}


def numbers(lab: Lab) -> list[int]:
    """List all processes of the service."""
    parts = [number for each in begun(lab).values() for number in each.members()]
    marked = [p.number for p in processes() if is_marked(p.number, lab.setting.mark)]
    return sorted({*parts, *marked, *server_processes(lab.folder.postgres)})


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def submit(lab: Lab, headers: dict[str, str]) -> tuple[int, str]:
    (lab.home / "driver.py").write_text(_DRIVER)
    return call(
        f"{lab.setting.dashboard}/api/jobs/",
        headers,
        {"entrypoint": f"exec python {lab.home}/driver.py", "metadata": {"study": "mine"}},
    )


def test_it_goes_on_when_the_command_has_ended_and_says_how_it_is(lab: Lab) -> None:
    state = lab.state()
    assert state["is_healthy"] is True
    assert {part["title"]: part["state"] for part in state["parts"]} == {
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


def test_started_twice_it_says_so_and_other_settings_are_refused(lab: Lab) -> None:
    before = numbers(lab)
    said = lab.run(lab.up("--postgres"))
    assert said.stdout.startswith("The service runs already.\n")
    assert lab.setting.dashboard in said.stdout
    # What is not named is as it is.
    assert "PostgreSQL" in lab.run(lab.up()).stdout
    other = lab.run(lab.up("--no-postgres", "--gpus=1"), 2)
    assert other.stderr == (
        f"ClusterError: the service in {lab.folder.root} runs with other settings (gpus: None, "
        "not 1; has_postgres: True, not False); leave them out to use it as it is, or end it "
        "first with 'cluster down'.\n"
    )
    assert set(before) & set(numbers(lab)) >= {each.number for each in begun(lab).values()}


def test_nothing_listens_beyond_this_machine(lab: Lab) -> None:
    found = listening(numbers(lab))
    programs = {name for _, name in found}
    assert {"gcs_server", "raylet", "postgres"} <= programs
    assert len(found) > 8
    open_ones = [
        (address, name)
        for address, name in found
        if not address.startswith(("127.0.0.1:", "::ffff:127.0.0.1:"))
    ]
    assert open_ones == []


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer " + "0" * 64}])
def test_who_has_no_token_or_a_wrong_one_is_refused(lab: Lab, headers: dict[str, str]) -> None:
    status, said = submit(lab, headers)
    assert status in (401, 403), said
    for path in ("api/jobs/", "api/v0/nodes", "api/cluster_status"):
        assert call(f"{lab.setting.dashboard}/{path}", headers)[0] in (401, 403)
    assert not (lab.storage / "told").exists()


def test_a_study_is_told_where_results_go_by_the_environment_alone(lab: Lab) -> None:
    status, said = submit(lab, dict(lab.headers))
    assert status == 200, said
    wait_until((lab.storage / "told").exists)
    told = json.loads((lab.storage / "told").read_text())
    del told["CHALLENGER_SERVICE"]
    assert told == {
        "CHALLENGER_STORAGE": str(lab.storage),
        "CHALLENGER_DATABASE": url_of(read_login(lab.folder.postgres)),
        "CHALLENGER_TRACKING_URI": lab.setting.mlflow,
    }
    (lab.storage / "told").unlink()
    (study,) = lab.state()["studies"]
    assert study["study"] == "mine"
    assert study["job"] == json.loads(said)["submission_id"]


def test_no_secret_is_in_a_command_line_a_log_a_record_or_a_job(lab: Lab) -> None:
    login = lab.folder.postgres / "login.json"
    secrets = {
        lab.token: lab.token.read_text(),
        login: read_login(lab.folder.postgres).password,
    }
    lines = [command_line(each.number) for each in processes()]
    files = [path for root in (lab.home, lab.folder.ray) for path in root.rglob("*")]
    listed = call(f"{lab.setting.dashboard}/api/jobs/", lab.headers)[1]
    for own, secret in secrets.items():
        holding = [path for path in files if path.is_file() and secret in content(path)]
        assert holding == [own]
        assert own.stat().st_mode & 0o777 == 0o600
        assert not any(secret in line for line in lines)
        assert secret not in listed
    assert any(path.suffix == ".log" for path in files)


def content(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def test_others_cannot_look_into_it(lab: Lab) -> None:
    assert lab.folder.root.stat().st_mode & 0o066 == 0
    assert lab.folder.logs.stat().st_mode & 0o777 == 0o700
    assert lab.folder.ray.stat().st_mode & 0o777 == 0o700
    assert lab.token.parent.stat().st_mode & 0o777 == 0o700


def test_what_was_killed_is_started_again_and_the_rest_left_alone(lab: Lab) -> None:
    with psycopg.connect(url_of(read_login(lab.folder.postgres)).replace("+psycopg", "")) as one:
        one.execute("CREATE TABLE kept (i int)")
    before = begun(lab)
    for name in ("ray", "postgres"):
        os.kill(before[name].number, signal.SIGKILL)
    state = lab.state(code=1)
    assert {part["title"]: part["state"] for part in state["parts"]} == {
        "PostgreSQL": "ended",
        "MLflow": "answers",
        "Ray": "ended",
    }
    # Ray's other processes do not all end with its first, and would be in the way.
    said = lab.run(lab.up())
    assert "starting PostgreSQL, Ray\n" in said.stderr
    after = begun(lab)
    assert after["mlflow"] == before["mlflow"]
    assert after["ray"] != before["ray"]
    assert before["ray"].members() == ()
    # Ray itself kills the drivers of a head that is killed; their studies can be resumed.
    driver = str(lab.home / "driver.py")
    assert not any(driver in command_line(each.number) for each in processes())
    assert lab.state()["is_healthy"] is True


def test_down_ends_all_of_it_and_nothing_else_and_what_it_keeps_stays(
    lab: Lab, ray_address: str
) -> None:
    status, said = submit(lab, dict(lab.headers))
    assert status == 200, said
    wait_until((lab.storage / "told").exists)
    mark, ours, token = lab.setting.mark, numbers(lab), lab.token.read_text()
    experiments = f"{lab.setting.mlflow}/api/2.0/mlflow/experiments/create"
    assert call(experiments, content={"name": "kept"})[0] == 200
    # Stands in the service's folder and names it, as somebody does who reads its logs.
    reader = subprocess.Popen(
        ["tail", "-f", str(lab.folder.log("ray"))],
        cwd=lab.folder.root,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        ended = lab.run(lab.down())
        assert ended.stdout == "ended: running drivers, Ray, MLflow, PostgreSQL.\n"
        assert (lab.storage / "stopped").read_text() == "in order"
        assert not set(ours) & {each.number for each in processes()}
        assert [line for line in lab.left(mark) if not line.startswith(f"{reader.pid} ")] == []
        assert reader.poll() is None
        require_answer(ray_address)
    finally:
        reader.kill()
        reader.wait()
    assert not lab.folder.ray.exists()
    assert lab.token.read_text() == token
    again = lab.run(lab.down())
    assert again.stdout == f"nothing to end: no service runs for {lab.storage}.\n"
    with closing(sqlite3.connect(lab.storage / "mlflow.db")) as store:
        assert ("kept",) in store.execute("SELECT name FROM experiments").fetchall()
    # A clean shutdown is one after which nothing is recovered.
    log = lab.folder.log("postgres").read_text()
    assert log.rstrip().endswith("database system is shut down")
    server = PostgresServer(lab.folder.postgres, ends_with_us=True)
    server.start()
    try:
        with psycopg.connect(server.url.replace("+psycopg", "")) as one:
            assert one.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    finally:
        server.stop()


def test_a_taken_port_is_one_message_and_nothing_is_started(lab: Lab) -> None:
    with socket.socket() as taken:
        # Connections to the dashboard have ended a moment ago.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", lab.ports[1]))
        taken.listen()
        refused = lab.run(lab.up("--postgres"), 2)
    assert refused.stderr == (
        f"ClusterError: Ray's dashboard needs 127.0.0.1:{lab.ports[1]}, but cannot have it "
        "(Address already in use); end what listens there, or choose another port with "
        "--dashboard-port.\n"
    )
    assert not lab.folder.record.exists()
    assert server_processes(lab.folder.postgres) == ()
