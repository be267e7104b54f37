"""The folders and files of a study below the storage root, and the manifest of what it asks for."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from study.records.errors import SpecError, StoreError
from study.records.trial_table import PhaseName
from study.storage.sqlite import sqlite_url


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialKey:
    """What identifies a trial within a study."""

    arm: str
    phase: PhaseName
    number: int

    def __str__(self) -> str:
        """Name the trial in logs, paths and MLflow."""
        return f"{self.arm}/{self.phase}/{self.number}"


# A study that is begun with less would soon stand still.
_MIN_FREE_BYTES = 64 << 20

# What stands in the storage root beside the studies' folders.
_DATABASES = ("mlflow.db", "optuna.db")
RESERVED_NAMES = frozenset(
    {
        *("cache", "mlflow-artifacts", "service", *_DATABASES),
        # SQLite's own files stand beside a database.
        *(f"{name}-{file}" for name in _DATABASES for file in ("journal", "shm", "wal")),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageRoot:
    """The storage root, which holds all studies and what they share.

    Attributes:
        root: Absolute path.
    """

    root: Path

    @property
    def cache(self) -> Path:
        """Decoded data, which may be deleted at any time."""
        return self.root / "cache"

    @property
    def database(self) -> Path:
        """The Optuna database, unless another one is named."""
        return self.root / "optuna.db"

    @property
    def database_url(self) -> str:
        """URL of the Optuna database, unless another one is named."""
        return sqlite_url(self.database)

    @property
    def tracking_database(self) -> Path:
        """The MLflow database, unless a tracking server is named."""
        return self.root / "mlflow.db"

    @property
    def artifacts(self) -> Path:
        """What MLflow keeps as files, unless a tracking server is named."""
        return self.root / "mlflow-artifacts"

    @property
    def service(self) -> Path:
        """What ``cluster up`` keeps: records, logs, passwords, PostgreSQL's data."""
        return self.root / "service"

    def study(self, name: str) -> StudyFolder:
        """Give the folder of one study."""
        return StudyFolder(path=self.root / name)

    def studies(self) -> tuple[str, ...]:
        """Name the studies that were begun here."""
        return tuple(sorted(path.parent.name for path in self.root.glob("*/study.yaml")))

    def prepare(self) -> None:
        """Make the root and find out whether it can be written.

        Raises:
            StoreError: If it cannot.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".probe.{os.getpid()}"
            probe.write_bytes(b"0" * 4096)
            probe.unlink()
            free = shutil.disk_usage(self.root).free
        except OSError as error:
            raise StoreError(
                f"{self.root} must be a folder that can be written, but: {error.strerror}; name "
                "another with --storage."
            ) from None
        if free < _MIN_FREE_BYTES:
            raise StoreError(
                f"{self.root} must have at least {_MIN_FREE_BYTES >> 20} MiB free for checkpoints and "
                f"results, but has {free >> 20}; free some space or name another with --storage."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFolder:
    """One study's folder."""

    path: Path

    @property
    def spec(self) -> Path:
        """The study file, as it was given."""
        return self.path / "study.yaml"

    @property
    def manifest(self) -> Path:
        """What the study asks for, resolved, for commands that must be quick."""
        return self.path / "manifest.json"

    @property
    def sweeps(self) -> Path:
        """Sweeps asked for at the command line."""
        return self.path / "sweeps.json"

    @property
    def provenance(self) -> Path:
        """What the data root held when the study began."""
        return self.path / "provenance.json"

    @property
    def ray(self) -> Path:
        """Scratch of Ray Tune, emptied at every start."""
        return self.path / "ray"

    @property
    def lock(self) -> Path:
        """Held by the process that runs the study."""
        return self.path / "lock"

    @property
    def stop(self) -> Path:
        """Asks the trials to write their checkpoints and to stop, wherever they run."""
        return self.path / "stop"

    @property
    def outbox(self) -> Path:
        """What waits for MLflow."""
        return self.path / "outbox.db"

    @property
    def report(self) -> Path:
        """Figures, tables and the HTML page."""
        return self.path / "report"

    @property
    def logs(self) -> Path:
        """Log files of the driver, of Ray and of the delivery."""
        return self.path / "logs"

    def make_trial(self, key: TrialKey) -> Path:
        """Make the folder of a trial.

        Raises:
            StoreError: If it cannot be made, or if the study's own folder is gone: making that
                anew would hide that its storage is no longer mounted.
        """
        path = self.trial(key)
        try:
            if not self.path.is_dir():
                raise FileNotFoundError(errno.ENOENT, "the study's folder is gone")
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self.write_error(error) from None
        return path

    def write_error(self, error: OSError) -> StoreError:
        """Say that the study's folder cannot be written to any more."""
        return StoreError(
            f"{self.path} must be writable while its study runs, but: {error.strerror or error}; "
            "free some space or mount it again."
        )

    def trials(self, arm: str) -> Iterator[Path]:
        """Give the folders of all trials of an arm that were begun."""
        return (self.path / "trials" / arm).glob("*/*/")

    def trial(self, key: TrialKey) -> Path:
        """Give a trial's folder: its reports, and while it runs its checkpoints."""
        return self.path / "trials" / key.arm / key.phase / f"{key.number:05d}"

    def reports(self, key: TrialKey) -> Path:
        """Give a trial's result file."""
        return self.trial(key) / "reports.jsonl"

    def outcome(self, key: TrialKey) -> Path:
        """Give the file that says how a trial ended."""
        return self.trial(key) / "end.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A study in the words of its ledger.

    Attributes:
        name: Name of the study.
        metric: What trials are compared by.
        direction: ``maximize`` or ``minimize``.
        search: Arm to the number of its search trials.
        final: Arm to the number of its final trials, as far as it is known before the search.
    """

    name: str
    metric: str
    direction: str
    search: Mapping[str, int]
    final: Mapping[str, int]

    def encode(self) -> str:
        """Write as JSON."""
        return json.dumps(asdict(self), indent=2)


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a study.

    Raises:
        SpecError: If there is no study there.
    """
    if not path.exists():
        study = path.parent
        known = ", ".join(sorted(p.parent.name for p in study.parent.glob(f"*/{path.name}")))
        raise SpecError(
            f"there is no study {study.name!r} in {study.parent}; known: {known or 'none'}."
        )
    return Manifest(**json.loads(path.read_text(encoding="utf-8")))
