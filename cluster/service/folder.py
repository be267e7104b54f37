"""The folder of a service, and the lock under which its components are started and stopped."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cluster.errors import ClusterError

# PostgreSQL does not run as root: its user must be able to pass through.
_TRAVERSABLE: Final = 0o711


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFolder:
    """The files of a service, all below the absolute path ``root``."""

    root: Path

    @property
    def record(self) -> Path:
        """Record of the service: written before any process starts, deleted after the last."""
        return self.root / "service.json"

    @property
    def lock(self) -> Path:
        """Lock of the commands that start or stop the service."""
        return self.root / "lock"

    @property
    def logs(self) -> Path:
        """Output of the components."""
        return self.root / "logs"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's databases and login."""
        return self.root / "postgres"

    @property
    def passwords(self) -> Path:
        """MLflow's passwords, created once."""
        return self.root / "mlflow-passwords.json"

    @property
    def auth_config(self) -> Path:
        """MLflow's configuration of users and permissions."""
        return self.root / "mlflow-auth.ini"

    @property
    def users(self) -> Path:
        """MLflow's database of users."""
        return self.root / "mlflow-users.db"

    def link(self, port: int) -> Path:
        """Return the file with the owner's login link of an MLflow server, new at every start."""
        return self.root / f"mlflow-link-{port}"

    @property
    def ray(self) -> Path:
        """Ray's folder, emptied by every start, for its owner alone; Ray's is ``r`` in it.

        It is short, because Ray opens sockets below it, and on this machine's own disk: workers
        on other machines use the same path, and storage is shared.
        """
        digest = hashlib.sha256(str(self.root).encode()).hexdigest()
        return Path("/tmp") / f"ray-{os.getuid()}-{digest[:10]}"

    def pid_file(self, component: str) -> Path:
        """Return the file in which a component's process writes its record."""
        return self.root / f"{component}.pid"

    def log(self, component: str) -> Path:
        """Return the file with a component's output."""
        return self.logs / f"{component}.log"

    def exists(self) -> bool:
        """Return whether there ever was a service."""
        return self.lock.exists()

    def prepare(self) -> None:
        """Make the folder, for its owner alone.

        Raises:
            ClusterError: If it cannot be made.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ClusterError(
                f"{self.root} must be a folder that can be written, for the service's records and "
                f"logs, but: {error.strerror}; name another storage with --storage."
            ) from None

    def set_traversable(self, is_traversable: bool) -> None:
        """Let other users pass to what they may open below, or not."""
        self.root.chmod(_TRAVERSABLE if is_traversable else 0o700)

    def write_private(self, path: Path, text: str) -> None:
        """Write a file atomically, readable by its owner alone."""
        temporary = path.with_name(f".{path.name}.new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)


# A component that was just started holds it for a moment, even if the command has ended.
_LOCK_TIMEOUT_S: Final = 10.0
_POLL_INTERVAL_S: Final = 0.1


@contextmanager
def service_lock(folder: ServiceFolder) -> Iterator[int]:
    """Hold a service's lock.

    Yields:
        The lock's descriptor. A process that inherits it holds the lock too, until it closes it.

    Raises:
        ClusterError: If another process holds it.
    """
    descriptor = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _acquire(descriptor, folder)
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, folder: ServiceFolder) -> None:
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"one command at a time may start or stop the service in {folder.root}, but "
                    "another 'cluster up' or 'cluster down' runs; wait until it has ended."
                ) from None
            time.sleep(_POLL_INTERVAL_S)
        else:
            return
