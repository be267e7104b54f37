"""Whose process listens at a port of this machine, before a secret is sent there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cluster.errors import ClusterError
from cluster.port_owner import foreign_listener, foreign_server_error
from cluster.service.http_client import http_get
from cluster.session import require_reachable
from study.records.errors import TrackingError
from study.tracking.mlflow_mirror import MlflowMirror
from study.tracking.tracking_uri import TrackingUri, check_tracking_server

_SOURCE = """
import os, socket, sys
server = socket.socket(socket.AF_INET6 if sys.argv[2] == "::" else socket.AF_INET)
server.bind((sys.argv[2], 0))
server.listen()
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
second = socket.socket(server.family)
second.bind((sys.argv[2], 0))
second.listen()
print(second.getsockname()[1], flush=True)
second.accept()[0].recv(1)
"""


@pytest.fixture
def listener(request: pytest.FixtureRequest) -> Iterator[int]:
    """Let another account listen; gives its port."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another account")
    number, address = request.param
    command = [sys.executable, "-c", _SOURCE, str(number), address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


@pytest.mark.parametrize("listener", [(65533, "127.0.0.1"), (65533, "::")], indirect=True)
def test_a_port_of_another_account_gets_no_secret(listener: int, tmp_path) -> None:
    for host in ("127.0.0.1", "localhost", "127.0.0.2"):
        assert foreign_listener(host, listener) == 65533
    url = f"http://127.0.0.1:{listener}"
    reason = foreign_server_error(url)
    assert reason == (
        f"port {listener} of this machine belongs to the account with user ID 65533, which would "
        "receive the password"
    )
    answer = http_get(url, {"Authorization": "Bearer token"})
    assert (answer.status, answer.body) == (0, reason)
    with pytest.raises(ClusterError) as refused:
        require_reachable(f"127.0.0.1:{listener}")
    assert str(refused.value) == (
        f"the Ray at 127.0.0.1:{listener} must be yours, because it is sent Ray's token, but "
        "that port belongs to the account with user ID 65533; choose another port."
    )
    with pytest.raises(TrackingError, match="belongs to the account with user ID 65533"):
        check_tracking_server(f"http://me:sesame@127.0.0.1:{listener}")
    mirror = MlflowMirror(address=TrackingUri.parse(f"{url}/"), experiment="x", artifacts=tmp_path)
    with pytest.raises(TrackingError, match=f"{listener}/: port {listener} of this machine"):
        mirror.require_own_server()


@pytest.mark.parametrize("listener", [(33, "127.0.0.1")], indirect=True)
def test_a_server_that_the_system_runs_is_accepted(listener: int) -> None:
    assert foreign_listener("127.0.0.1", listener) is None


def test_our_own_port_is_ours_and_other_machines_are_not_looked_at() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert foreign_listener("127.0.0.1", port) is None
        assert foreign_server_error(f"http://127.0.0.1:{port}/x") is None
    assert foreign_listener("192.0.2.1", port) is None
    assert foreign_listener("127.0.0.1", 1) is None
