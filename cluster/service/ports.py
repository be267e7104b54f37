"""Ports and addresses of this machine, looked at before anything is started."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from cluster.errors import ClusterError

# Below what Linux hands out to clients (32768 and up), who could take a port before its server.
_PORTS: Final = range(20_000, 32_768)


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port that a part will listen on.

    Attributes:
        address: Where; ``0.0.0.0`` for everywhere.
        number: Its number.
        what: Who will listen.
        remedy: How to choose another.
    """

    address: str
    number: int
    what: str
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
                    f"{self.what} needs {self.address}:{self.number}, but cannot have it "
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
        if not (address.is_loopback or address.is_unspecified) and _is_own(host):
            return host
    raise ClusterError(
        f"--host must be an IPv4 address of this machine by which the others reach it, got "
        f"{host!r}; 'hostname -I' lists them."
    )


def _is_own(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
