"""Checks of ports and addresses."""

from __future__ import annotations

import socket
import subprocess

import pytest

from cluster.errors import ClusterError
from cluster.ports import Port, free_port, require_own_address


@pytest.mark.parametrize("listens", ["127.0.0.1", "0.0.0.0", "::"])
def test_a_taken_port_is_named_with_its_option(listens: str) -> None:
    family = socket.AF_INET6 if ":" in listens else socket.AF_INET
    with socket.socket(family) as taken:
        if family == socket.AF_INET6:
            taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        taken.bind((listens, 0))
        taken.listen()
        number = taken.getsockname()[1]
        port = Port(
            address="127.0.0.1",
            number=number,
            server="Ray's head",
            remedy="choose another port with --port",
        )
        with pytest.raises(ClusterError) as refused:
            port.require_free()
    assert str(refused.value) == (
        f"Ray's head needs 127.0.0.1:{number}, but cannot have it (Address already in use); end "
        "the program that listens there, or choose another port with --port."
    )
    port.require_free()


def test_a_free_port_is_none_that_linux_gives_to_clients() -> None:
    assert all(20_000 <= free_port("Ray") < 32_768 for _ in range(5))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_loopback_means_this_machine_alone(host: str) -> None:
    assert require_own_address(host) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.2", "198.51.100.7", "::", "lab", ""])
def test_an_address_that_others_do_not_reach_is_refused(host: str) -> None:
    with pytest.raises(ClusterError) as refused:
        require_own_address(host)
    assert str(refused.value) == (
        "--host must be an IPv4 address of this machine by which others reach it, got "
        f"{host!r}; 'hostname -I' lists them."
    )


def test_this_machine_s_own_address_is_taken() -> None:
    listed = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False)
    own = [address for address in listed.stdout.split() if ":" not in address]
    if not own:
        pytest.skip("this machine has no address but loopback")
    assert require_own_address(own[0]) == own[0]
