"""The harness of a study under faults: its study file, cluster, database, MLflow and driver."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import yaml

from cluster.process import command_line, processes
from study.config.run_options import RunOptions
from study.storage.layout import StorageRoot, StudyFolder
from tests.faults.evidence import StudyLocation
from tests.faults.services import DATABASES, Database, Driver
from tests.support.local_cluster import LONGEST_FOLDER, LocalCluster
from tests.support.mlflow_server import MlflowServer

STUDY_NAME: Final = "faults"
# One search trial of each arm with its starts after faults takes 20 to 40 s on two cores. Too
# many trials would train on long after the last fault; of too few, more are made.
_ROUND_S: Final = 40.0
_MIN_TRIALS: Final = 3


def first_trials(seconds: float) -> int:
    """Return the search trials that an arm begins with; more are added if they end too soon."""
    return max(_MIN_TRIALS, math.ceil(seconds / _ROUND_S))


def more_trials(trials: int, elapsed_s: float, seconds: float) -> int:
    """Return the search trials that an arm needs to last, if so many lasted so long.

    Example:
        >>> more_trials(6, elapsed_s=100, seconds=180)
        11
    """
    return max(trials + 1, math.ceil(trials * seconds / max(elapsed_s, 1.0)))


def study_text(trials: int, seed: int) -> str:
    """Write the study file with so many search trials per arm."""
    preset = files("tests.faults") / "study.yaml"
    study = yaml.safe_load(preset.read_text(encoding="utf-8"))
    study["seed"] = seed
    study["defaults"]["search"]["trials"] = trials
    return yaml.safe_dump(study, sort_keys=False)


WORKERS: Final = (1, 1)
# How long Ray's driver waits for a head that is gone; by default a minute.
_HEAD_TIMEOUT_S: Final = "15"


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """A study and all that it depends on, below one folder."""

    root: Path
    seed: int
    cluster: LocalCluster
    database: Database
    mlflow: MlflowServer
    driver: Driver

    @property
    def storage(self) -> StorageRoot:
        """The storage root."""
        return StorageRoot(root=self.root / "storage")

    @property
    def folder(self) -> StudyFolder:
        """The study's folder."""
        return self.storage.study(STUDY_NAME)

    @property
    def location(self) -> StudyLocation:
        """The location of an audit's evidence."""
        options = RunOptions(
            storage=self.storage, database=self.database.url, tracking_uri=self.mlflow.uri
        )
        token = self.cluster.token.read_text(encoding="utf-8")
        return StudyLocation(
            name=STUDY_NAME,
            options=options,
            mlflow_database=self.mlflow.database,
            mlflow_artifacts=self.mlflow.artifacts,
            open_folders=(self.storage.root, self.root / "driver", self.root / "mlflow"),
            secrets=(*self.database.secrets, self.mlflow.password, token),
        )

    def start_study(self, trials: int) -> None:
        """Start the driver with a study file, or resume that study if it was begun."""
        text = study_text(trials, self.seed)
        spec = self.folder.spec
        if spec.exists() and spec.read_text(encoding="utf-8") == text:
            self.driver.start("resume", STUDY_NAME, *self._options())
            return
        file = self.root / "driver" / "study.yaml"
        file.write_text(text, encoding="utf-8")
        self.driver.start("run", str(file), *self._options())

    def run_second(self, timeout_s: float) -> tuple[int | None, str]:
        """Start the study while it runs; returns exit code and output."""
        return self.driver.run_second(timeout_s, "resume", STUDY_NAME, *self._options())

    def n_reports(self) -> int:
        """Count the evaluations that are stored."""
        files = self.folder.path.glob("trials/*/*/*/reports.jsonl")
        return sum(path.read_bytes().count(b"\n") for path in files)

    def processes(self) -> tuple[str, ...]:
        """List the processes of this machine whose command line names this folder."""
        mark = f"{self.root}/"
        listed = ((each.pid, command_line(each.pid)) for each in processes())
        return tuple(f"{pid} {text[:100]}" for pid, text in listed if mark in text)

    def _options(self) -> tuple[str, ...]:
        return ("--address", self.cluster.address, "--storage", str(self.storage.root))


@contextmanager
def start_harness(
    root: Path, database: str, seed: int, on_event: Callable[[str], None]
) -> Iterator[Harness]:
    """Start a harness in an empty folder, and end every process of it in the end."""
    with ExitStack() as stack:
        for name in ("driver", "home", "storage"):
            (root / name).mkdir()
        # Root's PostgreSQL is run by another user, who must be able to pass.
        root.chmod(0o711)
        harness = _build_harness(root, database, seed)
        stack.callback(_remove_ray_folder, harness)
        stack.callback(harness.database.stop)
        stack.callback(harness.mlflow.kill)
        stack.callback(harness.cluster.shutdown)
        stack.callback(harness.driver.end)
        on_event(f"starting MLflow, {database} and a Ray of {1 + len(WORKERS)} nodes in {root} …")
        harness.mlflow.launch()
        harness.database.start()
        harness.cluster.start(WORKERS)
        harness.mlflow.wait()
        yield harness


def _build_harness(root: Path, database_kind: str, seed: int) -> Harness:
    cluster = LocalCluster(_short(root / "ray"))
    mlflow = MlflowServer(root / "mlflow", _environment(root))
    database = DATABASES[database_kind](root)

    def environment() -> Mapping[str, str]:
        return {
            **_environment(root),
            **cluster.environment(),
            "CHALLENGER_DATABASE": database.url,
            "CHALLENGER_TRACKING_URI": mlflow.uri,
            "RAY_gcs_rpc_server_reconnect_timeout_s": _HEAD_TIMEOUT_S,
        }

    return Harness(
        root=root,
        seed=seed,
        cluster=cluster,
        database=database,
        mlflow=mlflow,
        driver=Driver(root / "driver", environment),
    )


def _short(folder: Path) -> Path:
    if len(str(folder)) <= LONGEST_FOLDER:
        return folder
    return Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))


def _environment(root: Path) -> Mapping[str, str]:
    """Return this process's environment without settings of studies, and with another home."""
    others = ("CHALLENGER_", "MLFLOW_", "RAY_", "TUNE_")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(others)}
    return {**kept, "HOME": str(root / "home")}


def _remove_ray_folder(harness: Harness) -> None:
    folder = harness.cluster.token.parent
    if harness.root not in folder.parents:
        shutil.rmtree(folder, ignore_errors=True)
