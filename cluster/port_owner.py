"""The account that listens at a port of this machine.

A port is free for everybody once its server has ended, and who takes it is sent the passwords that
were meant for the server.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENS: Final = "0A"
# Accounts of people begin there.
_FIRST: Final = 1000


def strange_listener(host: str, port: int) -> int | None:
    """Return the number of another account that listens where a secret is about to be sent.

    Args:
        host: Name or address of the server.
        port: Its port.

    Returns:
        None if the address is not this machine's loopback, if nothing listens there, or if it is
        an account of the system (numbers below 1000, among them root) or this process's own.
    """
    if not _is_loopback(host):
        return None
    strange = [each for each in _listeners(port) if each >= _FIRST and each != os.geteuid()]
    return strange[0] if strange else None


def strange_server(url: str) -> str | None:
    """Return why no secret may be sent to a URL, or None if it may."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    number = strange_listener(parts.hostname or "", port)
    if number is None:
        return None
    return (
        f"port {port} of this machine belongs to the account with number {number}, who would be "
        "sent the password"
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    with suppress(OSError):
        found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
        return any(ipaddress.ip_address(each[4][0]).is_loopback for each in found)
    return False


def _listeners(port: int) -> list[int]:
    """List the users of all sockets that listen at a port, at whatever address."""
    users = []
    for table in _TABLES:
        with suppress(OSError):
            for line in table.read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    users.append(int(fields[7]))
    return users
