"""Whether the head of a Ray cluster still answers.

Ray itself ends a process that has not reached the head for a minute, without an exception; whoever
asks here can say what happened and put things in order before it does.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from typing import Final

from cluster.errors import ClusterError

# What Ray reads, and its default in seconds.
_RAYS_PATIENCE: Final = ("RAY_gcs_rpc_server_reconnect_timeout_s", "60")
_SHARE: Final = 0.5
_PAUSE_S: Final = 1.0
_ANSWER_S: Final = 2.0


@dataclass(slots=True)
class HeadWatch:
    """Looks once a second whether the head's port is open; mutable as time goes by.

    Attributes:
        address: Host and port of the head.
        patience_s: How long it may be away; a head that keeps its state elsewhere comes back.
        is_lost: Whether nobody waits for it any more.
    """

    address: str
    patience_s: float
    is_lost: bool = False
    _looked_at: float = 0.0
    _away_since: float | None = None

    def check(self) -> None:
        """Look, if it is time.

        Raises:
            ClusterError: If the head is lost.
        """
        if time.monotonic() - self._looked_at < _PAUSE_S:
            return
        self._looked_at = time.monotonic()
        error = refusal(self.address, _ANSWER_S)
        if error is None:
            self._away_since = None
            return
        if self._away_since is None:
            self._away_since = self._looked_at
        away_s = time.monotonic() - self._away_since
        if away_s < self.patience_s:
            return
        self.give_up()
        raise ClusterError(
            f"the head of the Ray cluster, {self.address}, must answer while a study runs, but "
            f"has not for {away_s:.0f} s ({_reason(error)}); start Ray again, there or elsewhere."
        )

    def give_up(self) -> None:
        """Take it as lost: a call to it may not return."""
        self.is_lost = True


def rays_patience_s() -> float:
    """Give how long a lost head is waited for, in seconds.

    It is half of what Ray waits: time is needed to leave everything in order.

    Example:
        >>> rays_patience_s()
        30.0
    """
    name, default = _RAYS_PATIENCE
    return _SHARE * float(os.environ.get(name, default))


def refusal(address: str, timeout_s: float) -> OSError | OverflowError | None:
    """Try to connect to ``host:port``; gives why that was not possible, or None if it was."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s).close()
    except (OSError, OverflowError) as error:
        return error
    return None


def _reason(error: OSError | OverflowError) -> str:
    return getattr(error, "strerror", None) or str(error)
