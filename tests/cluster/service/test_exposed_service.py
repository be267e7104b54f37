"""A service that other machines reach: every server requires token or password."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Iterator

import grpc
import pytest

from cluster.process import command_line, processes
from cluster.service.daemon import has_instance_id
from cluster.service.mlflow_component import read_passwords
from tests.cluster.service.harness import (
    ServiceHarness,
    call,
    listening,
    make_harness,
    own_address,
)

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1800), pytest.mark.extended]

# One of each kind of server that Ray has.
_METHODS = (
    "CoreWorkerService/GetCoreWorkerStats",
    "InternalKVGcsService/InternalKVGet",
    "NodeManagerService/GetNodeStats",
    "ObjectManagerService/Pull",
    "ReporterService/GetTraceback",
)


@pytest.fixture(scope="module")
def harness() -> Iterator[ServiceHarness]:
    """Start a service that listens on this machine's own address."""
    address = own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    harness = make_harness()
    said = harness.run(harness.up(f"--host={address}")).stdout
    assert (
        f"ray start --address={address}:{harness.ports[0]} --include-log-monitor=false\n" in said
    )
    assert str(harness.token) in said
    assert str(harness.folder.passwords) in said
    yield harness
    harness.remove()


def basic(password: str) -> dict[str, str]:
    who = base64.b64encode(f"admin:{password}".encode()).decode()
    return {"Authorization": f"Basic {who}"}


def test_ray_refuses_requests_without_the_right_token(harness: ServiceHarness) -> None:
    job = {"entrypoint": "true"}
    url = f"{harness.service.dashboard}/api/jobs/"
    assert harness.service.address in url
    for headers in ({}, {"Authorization": "Bearer " + "0" * 64}):
        assert call(url, headers, job)[0] in (401, 403)
        assert call(url, headers)[0] in (401, 403)
    assert json.loads(call(url, harness.headers)[1]) == []
    assert call(url, harness.headers, job)[0] == 200


def test_mlflow_refuses_requests_without_the_right_password(harness: ServiceHarness) -> None:
    url = f"{harness.service.mlflow}/api/2.0/mlflow/experiments/create"
    for headers in ({}, basic("password1234"), basic("")):
        assert call(url, headers, {"name": "mine"})[0] == 401
    assert call(url, basic(read_passwords(harness.folder).admin), {"name": "mine"})[0] == 200
    files = f"{harness.service.mlflow}/api/2.0/mlflow-artifacts/artifacts"
    assert call(files)[0] == 401
    assert call(f"{harness.service.mlflow}/")[0] == 401


def test_mlflow_accepts_its_own_pages_origins_and_no_others(harness: ServiceHarness) -> None:
    url = f"{harness.service.mlflow}/api/2.0/mlflow/experiments/search"
    known = basic(read_passwords(harness.folder).admin)
    for origin, status in ((harness.service.mlflow, 200), ("http://evil.example", 403)):
        assert call(url, {**known, "Origin": origin}, {"max_results": 1})[0] == status
    assert call(url, {**known, "Host": "evil.example"}, {"max_results": 1})[0] == 403


def test_every_port_beyond_this_machine_is_authenticated(harness: ServiceHarness) -> None:
    found = open_ports(harness)
    assert set(harness.ports) <= {port_of(address) for address, _ in found}
    assert {name for _, name in found} >= {"gcs_server", "raylet"}
    for place in found:
        answers = answers_of(harness, place)
        if answers is None:
            assert place[1] != "raylet"
            assert port_of(place[0]) not in harness.ports
            continue
        # Each has some way in that it closes, and none that is open.
        assert answers & {401, grpc.StatusCode.UNAUTHENTICATED}, (place, answers)
        assert answers <= {401, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNIMPLEMENTED}


def open_ports(harness: ServiceHarness) -> list[tuple[str, str]]:
    """Return the ports that other machines reach, with the program of each."""
    return [each for each in listening(pids(harness)) if not each[0].startswith("127.")]


def answers_of(
    harness: ServiceHarness, place: tuple[str, str]
) -> set[int | grpc.StatusCode] | None:
    """Return a port's response, or None if its process ends meanwhile, as a job's may."""
    address, port = harness.service.address, port_of(place[0])
    for _ in range(60):
        if speaks_grpc(address, port):
            answers: set[int | grpc.StatusCode] = set(grpc_answers(address, port))
        else:
            answers = {call_status(address, port)}
        if grpc.StatusCode.UNAVAILABLE not in answers:
            return answers
        if place not in open_ports(harness):
            return None
        time.sleep(1)
    return answers


def pids(harness: ServiceHarness) -> list[int]:
    listed = processes()
    marked = [each for each in listed if has_instance_id(each.pid, harness.service.instance_id)]
    sessions = {each.sid for each in marked}
    return [each.pid for each in listed if each.sid in sessions]


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def speaks_grpc(address: str, port: int) -> bool:
    """Return whether a server speaks HTTP/2 alone, so that its response is no HTTP/1."""
    try:
        call(f"http://{address}:{port}/")
    except (OSError, http.client.HTTPException):
        return True
    return False


def call_status(address: str, port: int) -> int:
    """Request a private path; MLflow and Ray authenticate before they look it up."""
    return call(f"http://{address}:{port}/api/jobs/")[0]


def grpc_answers(address: str, port: int) -> Iterator[grpc.StatusCode]:
    """Call methods of Ray's servers without a token."""
    with grpc.insecure_channel(f"{address}:{port}") as channel:
        for method in _METHODS:
            try:
                channel.unary_unary(f"/ray.rpc.{method}")(b"", timeout=30)
            except grpc.RpcError as error:
                yield error.code()
            else:
                yield grpc.StatusCode.OK


def test_the_study_s_password_is_in_the_environment_alone(harness: ServiceHarness) -> None:
    passwords = read_passwords(harness.folder)
    files = [path for root in (harness.home, harness.folder.ray) for path in root.rglob("*")]
    for secret in (passwords.admin, passwords.session_key):
        holding = [path for path in files if path.is_file() and secret.encode() in read(path)]
        assert holding == [harness.folder.passwords]
        assert not any(secret in command_line(each.pid) for each in processes())
    assert harness.folder.users.stat().st_mode & 0o777 == 0o600


def read(path):
    return path.read_bytes()
