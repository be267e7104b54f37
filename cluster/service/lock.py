"""One at a time starts or ends a service's parts."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cluster.errors import ClusterError
from cluster.service.folder import ServiceFolder

# A part that was just launched holds it for a moment, whatever becomes of who launched it.
_PATIENCE_S: Final = 10.0
_PAUSE_S: Final = 0.1


@contextmanager
def holding(folder: ServiceFolder) -> Iterator[int]:
    """Hold a service's lock.

    Yields:
        The lock's descriptor. A process that inherits it holds the lock too, until it closes it.

    Raises:
        ClusterError: If another process holds it.
    """
    descriptor = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(descriptor, folder)
        yield descriptor
    finally:
        os.close(descriptor)


def _take(descriptor: int, folder: ServiceFolder) -> None:
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise ClusterError(
                    f"one command at a time may start or end the service in {folder.root}, but "
                    "another 'cluster up' or 'cluster down' is at work; wait until it has ended."
                ) from None
            time.sleep(_PAUSE_S)
        else:
            return
