"""TCP ports and addresses of this machine: a free port, and checks before a server binds to one."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from cluster.errors import ClusterError

# Below what Linux hands out to clients (32768 and up): who tries to reach a server that is away
# would sooner or later be given its very port, be connected to himself, and keep it from starting.
SERVER_PORTS: Final = range(20_000, 32_768)


def free_port(server: str, address: str = "") -> int:
    """Find a port on which nobody listens.

    Args:
        server: Who needs it, for the message.
        address: Where it will listen; everywhere if it is left out.

    Raises:
        ClusterError: If there is none.
    """
    for port in secrets.SystemRandom().sample(SERVER_PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            # As servers do: a connection that ended a moment ago keeps no port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
            return port
    raise ClusterError(
        f"{server} needs a free port of {SERVER_PORTS.start} to {SERVER_PORTS.stop - 1}, but 100 tries found none; "
        "end what listens there."
    )


# Below what Linux hands out to clients (32768 and up), who could take a port before its server.
_UNUSED_PORTS: Final = range(20_000, 32_768)


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port that a part will listen on.

    Attributes:
        address: Where; ``0.0.0.0`` for everywhere.
        number: Its number.
        server: Who will listen.
        remedy: How to choose another.
    """

    address: str
    number: int
    server: str
    remedy: str

    def require_free(self) -> None:
        """Make sure that nobody listens there.

        Raises:
            ClusterError: If somebody does.
        """
        with socket.socket() as probe:
            # A connection that ended a moment ago keeps no port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.address, self.number))
            except OSError as error:
                raise ClusterError(
                    f"{self.server} needs {self.address}:{self.number}, but cannot have it "
                    f"({error.strerror}); end what listens there, or {self.remedy}."
                ) from None


def require_own_address(host: str) -> str | None:
    """Check an address that the service shall have.

    Args:
        host: What was given by ``--host``.

    Returns:
        The address, or None if it means this machine alone.

    Raises:
        ClusterError: If it is none by which other machines reach this one.
    """
    if host in ("localhost", "127.0.0.1"):
        return None
    with suppress(ValueError):
        address = ipaddress.IPv4Address(host)
        if not (address.is_loopback or address.is_unspecified) and _is_local(host):
            return host
    raise ClusterError(
        f"--host must be an IPv4 address of this machine by which the others reach it, got "
        f"{host!r}; 'hostname -I' lists them."
    )


def _is_local(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
