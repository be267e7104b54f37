"""The account of the process that listens on a port of this machine.

A port is free for all accounts once its server has ended, and the next listener would receive the
passwords that were meant for the server.
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
# Below are accounts of the system.
_FIRST_USER_ID: Final = 1000


def foreign_listener(host: str, port: int) -> int | None:
    """Return the user ID of another account that listens where a secret is about to be sent.

    None if the address is not this machine's loopback, if no process listens there, or if its
    account is the system's (user IDs below 1000, root among them) or this process's own.
    """
    if not _is_loopback(host):
        return None
    foreign = [
        each for each in _listeners(port) if each >= _FIRST_USER_ID and each != os.geteuid()
    ]
    return foreign[0] if foreign else None


def foreign_server_error(url: str) -> str | None:
    """Return why no secret may be sent to a URL, or None if it may."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    user_id = foreign_listener(parts.hostname or "", port)
    if user_id is None:
        return None
    return (
        f"port {port} of this machine belongs to the account with user ID {user_id}, which would "
        "receive the password"
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
    """Return the user IDs of all sockets that listen on a port, at any address."""
    users = []
    for table in _TABLES:
        with suppress(OSError):
            for line in table.read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    users.append(int(fields[7]))
    return users
