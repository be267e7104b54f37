"""All that a chaotic study needs, started in one folder: cluster, database, MLflow, driver."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cluster.local import LONGEST_FOLDER, LocalCluster
from cluster.process_session import processes, title
from study.chaos.database import DATABASES, Database
from study.chaos.driver import Driver
from study.chaos.evidence import Places
from study.chaos.mlflow_server import MlflowServer
from study.chaos.sizing import NAME, study_text
from study.options import Options
from study.store.folder import Storage, StudyFolder

WORKERS: Final = (1, 1)
# Ray's driver waits so long for a head that is gone; by default a minute.
_HEAD_PATIENCE_S: Final = "15"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """A study and all that it depends on, below one folder.

    Attributes:
        root: The folder.
        seed: The study's.
        cluster: Where its trials run.
        database: Its Optuna database.
        mlflow: Its tracking server.
        driver: What runs it.
    """

    root: Path
    seed: int
    cluster: LocalCluster
    database: Database
    mlflow: MlflowServer
    driver: Driver

    @property
    def storage(self) -> Storage:
        """The storage root."""
        return Storage(root=self.root / "storage")

    @property
    def folder(self) -> StudyFolder:
        """The study's folder."""
        return self.storage.study(NAME)

    @property
    def places(self) -> Places:
        """Where an audit finds its evidence."""
        options = Options(
            storage=self.storage, database=self.database.url, tracking_uri=self.mlflow.uri
        )
        token = self.cluster.token.read_text(encoding="utf-8")
        return Places(
            name=NAME,
            options=options,
            review_database=self.mlflow.database,
            review_artifacts=self.mlflow.artifacts,
            open_folders=(self.storage.root, self.root / "driver", self.root / "mlflow"),
            secrets=(*self.database.secrets, self.mlflow.password, token),
        )

    def start_study(self, trials: int) -> None:
        """Start the driver with a study file, or go on with that study if it was begun."""
        text = study_text(trials, self.seed)
        spec = self.folder.spec
        if spec.exists() and spec.read_text(encoding="utf-8") == text:
            self.driver.start("resume", NAME, *self._where())
            return
        file = self.root / "driver" / "study.yaml"
        file.write_text(text, encoding="utf-8")
        self.driver.start("run", str(file), *self._where())

    def start_second(self, patience_s: float) -> tuple[int | None, str]:
        """Start the study while it runs; gives exit code and what was said."""
        return self.driver.second(patience_s, "resume", NAME, *self._where())

    def n_reports(self) -> int:
        """Count the evaluations that are stored."""
        files = self.folder.path.glob("trials/*/*/*/reports.jsonl")
        return sum(path.read_bytes().count(b"\n") for path in files)

    def processes(self) -> tuple[str, ...]:
        """Name the processes of this machine whose command line names this arena."""
        mark = f"{self.root}/"
        listed = ((each.number, title(each.number)) for each in processes())
        return tuple(f"{number} {text[:100]}" for number, text in listed if mark in text)

    def _where(self) -> tuple[str, ...]:
        return ("--address", self.cluster.address, "--storage", str(self.storage.root))


@contextmanager
def arena(root: Path, database: str, seed: int, tell: Callable[[str], None]) -> Iterator[Arena]:
    """Set an arena up, and end everything that it started, whatever happens.

    Args:
        root: An empty folder; files stay in it.
        database: Name of the kind of database.
        seed: The study's.
        tell: Told what is started.

    Raises:
        ClusterError: If Ray's nodes or the database cannot be started.
        TrackingError: If MLflow's server cannot be started.
    """
    with ExitStack() as stack:
        for name in ("driver", "home", "storage"):
            (root / name).mkdir()
        # Root lets the user postgres run the database, who must be able to pass.
        root.chmod(0o711)
        place = _place(root, database, seed)
        stack.callback(_remove_elsewhere, place)
        stack.callback(place.database.stop)
        stack.callback(place.mlflow.kill)
        stack.callback(place.cluster.shutdown)
        stack.callback(place.driver.end)
        tell(f"starting MLflow, {database} and a Ray of {1 + len(WORKERS)} nodes in {root} …")
        place.mlflow.launch()
        place.database.start()
        place.cluster.start(WORKERS)
        place.mlflow.wait()
        yield place


def _place(root: Path, database: str, seed: int) -> Arena:
    cluster = LocalCluster(_short(root / "ray"))
    mlflow = MlflowServer(root / "mlflow", _environment(root))
    store = DATABASES[database](root)

    def environment() -> Mapping[str, str]:
        return {
            **_environment(root),
            **cluster.environment(),
            "CHALLENGER_DATABASE": store.url,
            "CHALLENGER_TRACKING_URI": mlflow.uri,
            "RAY_gcs_rpc_server_reconnect_timeout_s": _HEAD_PATIENCE_S,
        }

    return Arena(
        root=root,
        seed=seed,
        cluster=cluster,
        database=store,
        mlflow=mlflow,
        driver=Driver(root / "driver", environment),
    )


def _short(folder: Path) -> Path:
    if len(str(folder)) <= LONGEST_FOLDER:
        return folder
    return Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))


def _environment(root: Path) -> Mapping[str, str]:
    """Give our environment without settings of studies, and with a home of the arena's own."""
    others = ("CHALLENGER_", "MLFLOW_", "RAY_", "TUNE_")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(others)}
    return {**kept, "HOME": str(root / "home")}


def _remove_elsewhere(place: Arena) -> None:
    folder = place.cluster.token.parent
    if place.root not in folder.parents:
        shutil.rmtree(folder, ignore_errors=True)
