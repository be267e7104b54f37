"""A service with Ray's TLS: only who has a certificate of its authority is answered."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.node_certificate import create_authority, create_certificate, tls_environment
from cluster.session import require_reachable
from tests.cluster.service.harness import ServiceHarness, make_harness

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1800), pytest.mark.extended]

_DRIVER = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False)
print(ray.get(ray.remote(lambda: 6 * 7).remote()))
"""


@pytest.fixture(scope="module")
def harness() -> Iterator[ServiceHarness]:
    """Start a service with a certificate, whose authority has signed another one too."""
    harness = make_harness()
    authority = harness.home / "authority"
    create_authority(authority)
    for node in ("node", "driver"):
        create_certificate(authority, harness.home / node)
    own = harness.home / "node"
    options = {"cert": own / "cert.pem", "key": own / "key.pem", "ca": authority / "tls_ca"}
    try:
        harness.run(harness.up(*(f"--tls-{k}={path}" for k, path in options.items())))
        yield harness
    finally:
        harness.remove()


def drive(
    harness: ServiceHarness, node: Path, authority: Path
) -> subprocess.CompletedProcess[str]:
    """Run a driver with the token and a certificate."""
    environment = {
        **harness.environment(),
        **tls_environment(str(node), str(authority / "tls_ca")),
        "RAY_AUTH_MODE": "token",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_py_gcs_connect_timeout_s": "20",
    }
    command = [sys.executable, "-c", _DRIVER, f"127.0.0.1:{harness.ports[0]}"]
    return subprocess.run(
        command,
        env=environment,
        cwd=harness.home,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_driver_of_the_same_authority_runs(harness: ServiceHarness) -> None:
    done = drive(harness, harness.home / "driver", harness.home / "authority")
    assert done.stdout == "42\n", done.stderr


def test_another_authority_is_refused_before_ray_is_asked(
    harness: ServiceHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"127.0.0.1:{harness.ports[0]}"
    create_authority(tmp_path / "authority")
    create_certificate(tmp_path / "authority", tmp_path / "node")
    for home, node in ((harness.home, "driver"), (tmp_path, "node")):
        settings = tls_environment(str(home / node), str(home / "authority" / "tls_ca"))
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        if home == harness.home:
            require_reachable(address)
            continue
        with pytest.raises(ClusterError, match=r"certificate verify failed.*RAY_TLS_CA_CERT"):
            require_reachable(address)


def test_who_has_no_certificate_is_not_answered(harness: ServiceHarness) -> None:
    context = ssl.create_default_context(cafile=str(harness.home / "authority" / "tls_ca"))
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", harness.ports[0]), 30) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                secure.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
                answer = secure.recv(100)
        except OSError:
            answer = b""
    assert answer == b""
