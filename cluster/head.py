"""Monitor of the head of a Ray cluster.

Ray ends a process that has not reached the head for a minute, without an exception; this monitor
raises an error before.
"""

from __future__ import annotations

import math
import os
import socket
import time
from dataclasses import dataclass
from typing import Final

from cluster.errors import ClusterError

# Ray's variable, and its default in seconds.
_RECONNECT_TIMEOUT: Final = ("RAY_gcs_rpc_server_reconnect_timeout_s", "60")
_FRACTION: Final = 0.5
_CHECK_INTERVAL_S: Final = 1.0
_CONNECT_TIMEOUT_S: Final = 2.0


@dataclass(slots=True)
class HeadMonitor:
    """Monitor of the head's port, at most once a second. Has mutable state: the last check.

    Attributes:
        address: Host and port of the head.
        timeout_s: How long it may be unreachable; a head with external storage comes back.
        is_lost: Whether it has been unreachable for longer.
    """

    address: str
    timeout_s: float
    is_lost: bool = False
    _checked_at: float = -math.inf
    _unreachable_since: float | None = None

    def check(self) -> None:
        """Try to connect, if the last check was a second ago.

        Raises:
            ClusterError: If the head is lost.
        """
        if time.monotonic() - self._checked_at < _CHECK_INTERVAL_S:
            return
        self._checked_at = time.monotonic()
        error = connection_error(self.address, _CONNECT_TIMEOUT_S)
        if error is None:
            self._unreachable_since = None
            return
        if self._unreachable_since is None:
            self._unreachable_since = self._checked_at
        unreachable_s = time.monotonic() - self._unreachable_since
        if unreachable_s < self.timeout_s:
            return
        self.mark_lost()
        raise ClusterError(
            f"the head of the Ray cluster, {self.address}, must answer while a study runs, but "
            f"has not for {unreachable_s:.0f} s ({_reason(error)}); start Ray again, there or "
            "elsewhere."
        )

    def mark_lost(self) -> None:
        """Mark it as lost: a call to it may not return."""
        self.is_lost = True


def head_timeout_s() -> float:
    """Return the timeout of an unreachable head, in seconds: half of Ray's own.

    The other half is for an orderly stop.

    Example:
        >>> head_timeout_s()
        30.0
    """
    name, default = _RECONNECT_TIMEOUT
    return _FRACTION * float(os.environ.get(name, default))


def connection_error(address: str, timeout_s: float) -> OSError | OverflowError | None:
    """Return the error of connecting to ``host:port``, or None if there was none."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s).close()
    except (OSError, OverflowError) as error:
        return error
    return None


def _reason(error: OSError | OverflowError) -> str:
    return getattr(error, "strerror", None) or str(error)
