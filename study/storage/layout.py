"""The folders and files of studies below the storage root, and the manifest of a study."""

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
    """Identifier of a trial within a study."""

    arm: str
    phase: PhaseName
    number: int

    def __str__(self) -> str:
        """Name the trial in logs, paths and MLflow."""
        return f"{self.arm}/{self.phase}/{self.number}"


# With less, a study would soon stop.
_MIN_FREE_BYTES = 64 << 20

# Names in the storage root that no study may have.
RESERVED_NAMES = frozenset({"cache", "mlflow-artifacts", "mlflow.db", "optuna.db", "service"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageRoot:
    """The storage root, an absolute path: all studies and what they share."""

    root: Path

    @property
    def cache(self) -> Path:
        """Decoded data; may be deleted at any time."""
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
        """MLflow's artifacts, unless a tracking server is named."""
        return self.root / "mlflow-artifacts"

    @property
    def service(self) -> Path:
        """Files of ``cluster up``: records, logs, passwords, PostgreSQL's data."""
        return self.root / "service"

    def study(self, name: str) -> StudyFolder:
        """Return the folder of a study."""
        return StudyFolder(path=self.root / name)

    def studies(self) -> tuple[str, ...]:
        """List the studies that were started here."""
        return tuple(sorted(path.parent.name for path in self.root.glob("*/study.yaml")))

    def prepare(self) -> None:
        """Create the root; StoreError if it cannot be written, or has too little free space."""
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
                f"{self.root} must have at least {_MIN_FREE_BYTES >> 20} MiB free for checkpoints "
                f"and results, but has {free >> 20}; free some space or name another with "
                "--storage."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFolder:
    """One study's folder."""

    path: Path

    @property
    def spec(self) -> Path:
        """The study file as given."""
        return self.path / "study.yaml"

    @property
    def manifest(self) -> Path:
        """The resolved budgets, for commands that must be quick."""
        return self.path / "manifest.json"

    @property
    def sweeps(self) -> Path:
        """Sweeps requested at the command line."""
        return self.path / "sweeps.json"

    @property
    def provenance(self) -> Path:
        """Provenance of the datasets when the study started."""
        return self.path / "provenance.json"

    @property
    def ray(self) -> Path:
        """Scratch of Ray Tune, emptied at every start."""
        return self.path / "ray"

    @property
    def lock(self) -> Path:
        """Locked by the process that runs the study."""
        return self.path / "lock"

    @property
    def stop(self) -> Path:
        """If it exists, trials write their checkpoints and stop, on any node."""
        return self.path / "stop"

    @property
    def outbox(self) -> Path:
        """Records not yet written to MLflow."""
        return self.path / "outbox.db"

    @property
    def report(self) -> Path:
        """Figures, tables and the HTML page."""
        return self.path / "report"

    @property
    def logs(self) -> Path:
        """Log files of the driver, of Ray and of the sync with MLflow."""
        return self.path / "logs"

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
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self.write_error(error) from None
        return path

    def write_error(self, error: OSError) -> StoreError:
        """Return the error of a study's folder that can no longer be written."""
        return StoreError(
            f"{self.path} must be writable while its study runs, but: {error.strerror or error}; "
            "free some space or mount it again."
        )

    def trials(self, arm: str) -> Iterator[Path]:
        """List the folders of an arm's trials."""
        return (self.path / "trials" / arm).glob("*/*/")

    def trial(self, key: TrialKey) -> Path:
        """Return a trial's folder: its reports, and while it runs its checkpoints."""
        return self.path / "trials" / key.arm / key.phase / f"{key.number:05d}"

    def reports(self, key: TrialKey) -> Path:
        """Return a trial's report log."""
        return self.trial(key) / "reports.jsonl"

    def outcome(self, key: TrialKey) -> Path:
        """Return the file of a trial's outcome."""
        return self.trial(key) / "end.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The budgets of a study.

    Attributes:
        name: Name of the study.
        metric: The objective.
        direction: ``maximize`` or ``minimize``.
        search: Arm to the number of its search trials.
        final: Arm to the number of its final trials, as far as known before the search.
    """

    name: str
    metric: str
    direction: str
    search: Mapping[str, int]
    final: Mapping[str, int]

    def encode(self) -> str:
        """Return the manifest as JSON."""
        return json.dumps(asdict(self), indent=2)


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a study; SpecError if there is none."""
    if not path.exists():
        study = path.parent
        known = ", ".join(sorted(p.parent.name for p in study.parent.glob(f"*/{path.name}")))
        raise SpecError(
            f"there is no study {study.name!r} in {study.parent}; known: {known or 'none'}."
        )
    return Manifest(**json.loads(path.read_text(encoding="utf-8")))
