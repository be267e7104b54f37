"""The folder of a service: where what is kept, and for whom."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cluster.errors import ClusterError

# Root's PostgreSQL is run by another user, who must be able to pass through.
_PASSABLE: Final = 0o711


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFolder:
    """Where a service keeps its things.

    Attributes:
        root: Absolute path; one service has one folder.
    """

    root: Path

    @property
    def record(self) -> Path:
        """What runs: written before anything starts, deleted when all has ended."""
        return self.root / "service.json"

    @property
    def lock(self) -> Path:
        """Held while something is started or ended."""
        return self.root / "lock"

    @property
    def logs(self) -> Path:
        """What the parts say."""
        return self.root / "logs"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's databases and login."""
        return self.root / "postgres"

    @property
    def passwords(self) -> Path:
        """MLflow's passwords, made once."""
        return self.root / "mlflow-passwords.json"

    @property
    def auth_config(self) -> Path:
        """MLflow's settings of who may do what."""
        return self.root / "mlflow-auth.ini"

    @property
    def users(self) -> Path:
        """MLflow's database of users."""
        return self.root / "mlflow-users.db"

    @property
    def ray(self) -> Path:
        """Ray's own folder, emptied by every start, for its owner alone; Ray's is ``r`` in it.

        It is short, because Ray opens sockets below it, and on this machine's own disk: workers
        on other machines use the same path, and storage is shared.
        """
        digest = hashlib.sha256(str(self.root).encode()).hexdigest()
        return Path("/tmp") / f"ray-{os.getuid()}-{digest[:10]}"

    def process(self, part: str) -> Path:
        """Where a part writes down which process it is."""
        return self.root / f"{part}.process"

    def log(self, part: str) -> Path:
        """What a part says."""
        return self.logs / f"{part}.log"

    def exists(self) -> bool:
        """Whether there ever was a service."""
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

    def let_pass(self, is_passable: bool) -> None:
        """Let other users pass through to what they may open below, or nobody."""
        self.root.chmod(_PASSABLE if is_passable else 0o700)

    def write_private(self, path: Path, text: str) -> None:
        """Put a file in place, whole, for its owner alone."""
        temporary = path.with_name(f".{path.name}.new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
