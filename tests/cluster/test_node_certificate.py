"""Certificates of nodes: whose they are, who may read them, and what is started with them."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.node_certificate import create_authority, create_certificate, main


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls") / "authority"
    create_authority(folder)
    return folder


@pytest.fixture(scope="module")
def node(authority: Path) -> Path:
    folder = authority.with_name("node")
    create_certificate(authority, folder, ["*.lab.svc.cluster.local"])
    return folder


def handshake(node: Path, trusted: Path, name: str) -> None:
    """Connect to a server with a node's certificate, calling it by a name."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(node / "cert.pem", node / "key.pem")
    client = ssl.create_default_context(cafile=str(trusted))
    here, there = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(there, server_side=True).close()
        except (ssl.SSLError, OSError):
            there.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client.wrap_socket(here, server_hostname=name).close()
    finally:
        here.close()
        thread.join()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "lab-head-svc.lab.svc.cluster.local"])
def test_a_node_is_known_by_its_addresses_and_names(
    authority: Path, node: Path, name: str
) -> None:
    handshake(node, authority / "tls_ca", name)


def test_a_node_is_no_other_and_an_authority_no_other(
    authority: Path, node: Path, tmp_path: Path
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(node, authority / "tls_ca", "192.0.2.7")
    create_authority(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(node, tmp_path / "tls_ca", "localhost")


def test_keys_are_for_their_owner_alone_and_nothing_else_is_left(
    authority: Path, node: Path
) -> None:
    files = {path.name: path for folder in (authority, node) for path in folder.iterdir()}
    assert set(files) == {"tls_ca", "tls_ca_key", "cert.pem", "key.pem"}
    for path in (authority, node, *files.values()):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_command_is_executed_with_rays_variables(authority: Path, tmp_path: Path) -> None:
    command = ["python", "-c", "import os; print(os.environ['RAY_TLS_SERVER_CERT'])"]
    done = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "cluster.node_certificate"),
            *(str(authority), str(tmp_path / "mine"), "--name", "lab", "--", *command),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{tmp_path / 'mine'}/cert.pem\n"
    assert (tmp_path / "mine" / "key.pem").exists()


def test_a_missing_authority_and_a_missing_program_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none"), str(tmp_path / "node")]) == 2
    assert "look at the files of the authority." in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match="'openssl', which is not there; install it"):
        create_authority(tmp_path / "new")
