"""TCP ports and addresses of this machine, checked before a server binds to them."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from cluster.errors import ClusterError

# Below Linux's ephemeral ports (32768 and up): a client that retries to reach a stopped server
# could get the server's port as its own, connect to itself, and keep the server from starting.
SERVER_PORTS: Final = range(20_000, 32_768)


def free_port(server: str, address: str = "") -> int:
    """Return a port that nothing listens on.

    Args:
        server: Name of the server that needs it, for the message.
        address: Address that it will listen on; all if it is left out.

    Raises:
        ClusterError: If 100 ports are taken.
    """
    for port in secrets.SystemRandom().sample(SERVER_PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            # As servers do: a connection in TIME_WAIT blocks no port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
            return port
    raise ClusterError(
        f"{server} needs a free port of {SERVER_PORTS.start} to {SERVER_PORTS.stop - 1}, but 100 "
        "tries found none; end the programs that listen there."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port that a server will listen on, with the remedy if it is taken."""

    address: str
    number: int
    server: str
    remedy: str

    def require_free(self) -> None:
        """Raise :class:`ClusterError` if a program listens there."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.address, self.number))
            except OSError as error:
                raise ClusterError(
                    f"{self.server} needs {self.address}:{self.number}, but cannot have it "
                    f"({error.strerror}); end the program that listens there, or "
                    f"{self.remedy}."
                ) from None


def require_own_address(host: str) -> str | None:
    """Return the address of ``--host``, or None if it means this machine alone.

    Raises:
        ClusterError: If other machines cannot reach this one by it.
    """
    if host in ("localhost", "127.0.0.1"):
        return None
    with suppress(ValueError):
        address = ipaddress.IPv4Address(host)
        if not (address.is_loopback or address.is_unspecified) and _is_local(host):
            return host
    raise ClusterError(
        f"--host must be an IPv4 address of this machine by which others reach it, got {host!r}; "
        "'hostname -I' lists them."
    )


def _is_local(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
