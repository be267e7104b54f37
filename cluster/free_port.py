"""A port for a server of this machine's, on which nobody listens."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress
from typing import Final

from cluster.errors import ClusterError

# Below what Linux hands out to clients (32768 and up): who tries to reach a server that is away
# would sooner or later be given its very port, be connected to himself, and keep it from starting.
PORTS: Final = range(20_000, 32_768)


def free_port(who: str, address: str = "") -> int:
    """Find a port on which nobody listens.

    Args:
        who: Who needs it, for the message.
        address: Where it will listen; everywhere if it is left out.

    Raises:
        ClusterError: If there is none.
    """
    for port in secrets.SystemRandom().sample(PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            # As servers do: a connection that ended a moment ago keeps no port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
            return port
    raise ClusterError(
        f"{who} needs a free port of {PORTS.start} to {PORTS.stop - 1}, but 100 tries found none; "
        "end what listens there."
    )
