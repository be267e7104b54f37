"""The folders and files of studies below the storage root, and the manifest of a study."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pydantic.dataclasses

from study.records.errors import SpecError, StoreError
from study.records.trial_table import PHASES, PhaseName
from study.storage.atomic_write import make_folder, sync_folder
from study.storage.json_record import DamagedFileError, read_record, write_record
from study.storage.sqlite import sqlite_url


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialKey:
    """Identifier of a trial within a study."""

    arm: str
    phase: PhaseName
    number: int

    def __str__(self) -> str:
        """Name the trial in logs, paths and MLflow."""
        return f"{self.arm}/{self.phase}/{self.number}"


# More digits than the number of any trial has.
_DIGITS = 12

# With less, a study would soon stop.
_MIN_FREE_BYTES = 64 << 20

# Names in the storage root that no study may have.
_DATABASES = ("mlflow.db", "optuna.db")
RESERVED_NAMES = frozenset(
    {
        *("cache", "mlflow-artifacts", "service", *_DATABASES),
        # SQLite's own files of a database.
        *(f"{name}-{file}" for name in _DATABASES for file in ("journal", "shm", "wal")),
    }
)


class _PathIn:
    """A path in a folder, read as an attribute of the folder."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, folder: StorageRoot | StudyFolder, owner: type | None = None) -> Path:
        return folder.path / self._name


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageRoot:
    """The storage root, an absolute path: all studies and what they share.

    Attributes:
        cache: Decoded data; may be deleted at any time.
        database: The Optuna database, unless another one is named.
        tracking_database: The MLflow database, unless a tracking server is named.
        artifacts: MLflow's artifacts, unless a tracking server is named.
        service: Files of ``cluster up``: records, logs, passwords, PostgreSQL's data.
    """

    root: Path

    cache = _PathIn("cache")
    database = _PathIn("optuna.db")
    tracking_database = _PathIn("mlflow.db")
    artifacts = _PathIn("mlflow-artifacts")
    service = _PathIn("service")

    @property
    def path(self) -> Path:
        """The root, as of any folder."""
        return self.root

    @property
    def database_url(self) -> str:
        """URL of the Optuna database, unless another one is named."""
        return sqlite_url(self.database)

    def study(self, name: str) -> StudyFolder:
        """Return the folder of a study."""
        return StudyFolder(path=self.root / name)

    def studies(self) -> tuple[str, ...]:
        """List the studies that were started here."""
        return tuple(sorted(path.parent.name for path in self.root.glob("*/study.yaml")))

    def prepare(self, *, is_passable: bool = False) -> None:
        """Create the root; StoreError if it cannot be written, or has too little free space.

        A new root is private to its owner; create the folder with another mode to share it.

        Args:
            is_passable: Whether other accounts may pass through a new root to what they may
                open, as the account that runs PostgreSQL for root must.
        """
        try:
            if not self.root.exists():
                make_folder(self.root.parent, is_durable=True)
                self.root.mkdir(mode=0o711 if is_passable else 0o700, exist_ok=True)
                sync_folder(self.root.parent)
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
                f"{self.root} must have at least {_MIN_FREE_BYTES >> 20} MiB free for checkpoints "
                f"and results, but has {free >> 20}; free some space or name another with "
                "--storage."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFolder:
    """One study's folder.

    Attributes:
        spec: The study file as given.
        manifest: The resolved budgets, for commands that must be quick.
        sweeps: Sweeps requested at the command line.
        plugins: Copies of the plug-ins that the study was started with.
        provenance: Provenance of the datasets when the study started.
        ray: Scratch of Ray Tune, emptied at every start.
        lock: Locked by the process that runs the study.
        stop: If it exists, trials write their checkpoints and stop, on any node.
        outbox: Records not yet written to MLflow.
        report: Figures, tables and the HTML page.
        logs: Log files of the driver, of Ray and of the sync with MLflow.
    """

    path: Path

    spec = _PathIn("study.yaml")
    manifest = _PathIn("manifest.json")
    sweeps = _PathIn("sweeps.json")
    plugins = _PathIn("plugins")
    provenance = _PathIn("provenance.json")
    ray = _PathIn("ray")
    lock = _PathIn("lock")
    stop = _PathIn("stop")
    outbox = _PathIn("outbox.db")
    report = _PathIn("report")
    logs = _PathIn("logs")

    def read_spec(self) -> str:
        """Read the study file; StoreError if it is missing or cannot be read."""
        try:
            return self.spec.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not in UTF-8"
            raise StoreError(
                f"{self.spec} must be the study file, but: {reason}; put it back."
            ) from None

    def make_trial(self, key: TrialKey) -> Path:
        """Create the folder of a trial.

        Raises:
            StoreError: If it cannot be created, or if the study's own folder is gone: creating
                that again would hide that its storage is no longer mounted.
        """
        path = self.trial(key)
        try:
            if not self.path.is_dir():
                raise FileNotFoundError(errno.ENOENT, "the study's folder is gone")
            make_folder(path, is_durable=True)
        except OSError as error:
            raise self.write_error(error) from None
        return path

    def write_error(self, error: OSError) -> StoreError:
        """Return the error of a study's folder that can no longer be written."""
        return StoreError(
            f"{self.path} must be writable while its study runs, but: {error.strerror or error}; "
            "free some space or mount it again."
        )

    def keys(self) -> tuple[TrialKey, ...]:
        """List the trials that have a folder."""
        found = []
        for phase in PHASES:
            for path in sorted((self.path / "trials").glob(f"*/{phase}/*/")):
                if path.name.isascii() and path.name.isdecimal():
                    key = TrialKey(
                        arm=path.parts[-3], phase=phase, number=int(path.name[:_DIGITS])
                    )
                    if self.trial(key) == path:
                        found.append(key)
        return tuple(found)

    def trial(self, key: TrialKey) -> Path:
        """Return a trial's folder: its reports, and while it runs its checkpoints."""
        return self.path / "trials" / key.arm / key.phase / f"{key.number:05d}"

    def identity(self, key: TrialKey) -> Path:
        """Return the file that says what a trial is."""
        return self.trial(key) / "trial.json"

    def reports(self, key: TrialKey) -> Path:
        """Return a trial's report log."""
        return self.trial(key) / "reports.jsonl"

    def outcome(self, key: TrialKey) -> Path:
        """Return the file of a trial's outcome."""
        return self.trial(key) / "end.json"


@pydantic.dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The budgets of a study: numbers of search and final trials by arm.

    Those of final trials are as far as known before the search.

    Attributes:
        study: Checksum of the study file.
        groups: Name of each arm over several datasets to the names of its members.
    """

    name: str
    metric: str
    direction: Literal["maximize", "minimize"]
    search: Mapping[str, int]
    final: Mapping[str, int]
    study: str
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest of a study durably; StoreError if the folder cannot be written to."""
    write_record(path, manifest)


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a study.

    Raises:
        SpecError: If there is none of that name.
        StoreError: If the file is damaged.
    """
    study = path.parent
    remedy = f"'repair {study.name}' writes it again."
    try:
        return read_record(path, Manifest, remedy)
    except FileNotFoundError:
        pass
    if (study / "study.yaml").exists():
        raise DamagedFileError(f"{path} must be there, but is missing; {remedy}")
    known = ", ".join(sorted(p.parent.name for p in study.parent.glob(f"*/{path.name}")))
    raise SpecError(
        f"there is no study {study.name!r} in {study.parent}; known: {known or 'none'}."
    )
