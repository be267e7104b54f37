"""The evidence of an audit: result files, the Optuna database, MLflow's, and leftover files.

The databases are read with SQL, not with the code that is audited.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, text

from study.config.run_options import RunOptions
from study.config.study_spec import StudySpec
from study.records.trial_table import StoredReport, TrialTable
from study.results.build import build_trial_table, load_study
from study.results.state import StudyState
from study.storage.layout import Manifest, StudyFolder, read_manifest
from study.storage.report_log import TrialOutcome, decode_report
from study.storage.trial_files import read_trial_files
from study.storage.trial_store import TrialStore
from study.tracking import mlflow_records
from study.tracking.arm_summary import arm_summary_records
from study.tracking.callback import tracked_study
from study.tracking.outbox import Outbox, PendingRecords
from tests.faults.event_log import EventLog
from tests.faults.mlflow_runs import MlflowRun, expected_runs, missing_artifacts, read_mlflow_runs


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultLines:
    """The whole lines of a result file, repeated ones included; torn if it holds anything else."""

    reports: tuple[StoredReport, ...] = ()
    is_torn: bool = False

    @property
    def epochs(self) -> list[int]:
        """Epochs in the order of the file."""
        return [report.epoch for report in self.reports]


def read_result_lines(path: Path) -> ResultLines:
    """Read a result file; one that is missing has no lines."""
    if not path.exists():
        return ResultLines()
    *lines, end = path.read_bytes().split(b"\n")
    decoded = [_decoded(line) for line in lines]
    reports = tuple(report for report in decoded if report is not None)
    return ResultLines(reports=reports, is_torn=bool(end) or len(reports) < len(lines))


def _decoded(line: bytes) -> StoredReport | None:
    try:
        return decode_report(line)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseTrial:
    """A trial of the Optuna study ``<study>/<arm>/<phase>``, unfinished ones included.

    Intermediate values are pairs of epoch and value, repeated ones included.
    """

    study: str
    number: int
    state: str
    values: tuple[float, ...] = ()
    reports: tuple[tuple[int, float], ...] = ()

    @property
    def key(self) -> str:
        """``<arm>/<phase>/<number>``."""
        return f"{self.study.partition('/')[2]}/{self.number}"


def read_database_trials(url: str, study: str) -> tuple[DatabaseTrial, ...]:
    """Read all trials of a study from its Optuna database, by arm, phase and number."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return tuple(_trials(connection, study))
    finally:
        engine.dispose()


def _trials(connection: Connection, study: str) -> Iterable[DatabaseTrial]:
    values = _by_trial(connection, "SELECT trial_id, value FROM trial_values ORDER BY objective")
    reports = _by_trial(
        connection,
        "SELECT trial_id, step, intermediate_value FROM trial_intermediate_values "
        "ORDER BY step, trial_intermediate_value_id",
    )
    query = text(
        "SELECT trial_id, study_name, number, state FROM trials "
        "JOIN studies ON studies.study_id = trials.study_id "
        "WHERE study_name LIKE :names ORDER BY study_name, number, trial_id"
    )
    for trial_id, name, number, state in connection.execute(query, {"names": f"{study}/%"}):
        yield DatabaseTrial(
            study=name,
            number=number,
            state=state,
            values=tuple(value for (value,) in values.get(trial_id, ())),
            reports=tuple((step, value) for step, value in reports.get(trial_id, ())),
        )


def _by_trial(connection: Connection, query: str) -> dict[int, list[tuple[Any, ...]]]:
    found: dict[int, list[tuple[Any, ...]]] = {}
    for trial_id, *columns in connection.execute(text(query)):
        found.setdefault(trial_id, []).append(tuple(columns))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """Checkpoints, with whether they are whole, and files that were never renamed into place."""

    checkpoints: Mapping[str, bool]
    temporary: tuple[str, ...]


def find_leftovers(folder: StudyFolder) -> Leftovers:
    """Find leftovers in a study's folder, without Ray's scratch, which nothing reads."""
    files = [path for path in _files(folder.path) if folder.ray not in path.parents]
    return Leftovers(
        checkpoints={
            str(path.relative_to(folder.path)): _is_whole(path)
            for path in files
            if path.suffix == ".pt" and not path.name.startswith(".")
        },
        temporary=tuple(
            str(path.relative_to(folder.path)) for path in files if path.name.startswith(".")
        ),
    )


def find_leaks(roots: Iterable[Path], secrets: Iterable[str]) -> tuple[str, ...]:
    """Return the files below some folders that hold a secret; reads all of them."""
    sought = [secret.encode() for secret in secrets if secret]
    found = []
    for root in roots:
        for path in _files(root):
            # A log of Ray's may be gone by now, and a socket is no file.
            with contextlib.suppress(OSError):
                content = path.read_bytes()
                if any(secret in content for secret in sought):
                    found.append(str(path))
    return tuple(found)


def _files(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink())


def _is_whole(checkpoint: Path) -> bool:
    digest = checkpoint.stem.rpartition("-")[2]
    return hashlib.sha256(checkpoint.read_bytes()).hexdigest()[: len(digest)] == digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A study that has ended, as every file and database holds it; trials are named by keys."""

    spec: StudySpec
    manifest: Manifest
    # The trials as the program itself reads them.
    table: TrialTable
    database: tuple[DatabaseTrial, ...]
    # Where the program itself finds that rows and files do not agree.
    damage: tuple[str, ...]
    lines: Mapping[str, ResultLines]
    ends: Mapping[str, TrialOutcome]
    expected_runs: Mapping[str, MlflowRun]
    mlflow_runs: tuple[MlflowRun, ...]
    missing_artifacts: tuple[str, ...]
    outbox: PendingRecords
    leftovers: Leftovers
    leaks: tuple[str, ...]
    # Trials that were trained again undisturbed, with what then differed.
    retrained: Mapping[str, tuple[str, ...]]
    event_log: EventLog


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyLocation:
    """The files and databases of a study, and the folders in which no secret may be."""

    name: str
    options: RunOptions
    mlflow_database: Path
    mlflow_artifacts: Path
    open_folders: tuple[Path, ...] = ()
    secrets: tuple[str, ...] = ()


def gather(
    location: StudyLocation, event_log: EventLog, retrained: Mapping[str, tuple[str, ...]]
) -> Evidence:
    """Read everything; the study must have ended."""
    folder = location.options.storage.study(location.name)
    spec = load_study(folder)
    state = read_state(location)
    table = build_trial_table(spec, folder, state)
    keys = [record.key for record in state.records()]
    ends = {str(key): read_trial_files(folder, key).outcome for key in keys}
    records = (
        *mlflow_records.all_records(tracked_study(spec), table),
        *arm_summary_records(table),
    )
    return Evidence(
        spec=spec,
        manifest=read_manifest(folder.manifest),
        table=table,
        database=read_database_trials(location.options.database_url, spec.name),
        damage=state.trials.damage,
        lines={str(key): read_result_lines(folder.reports(key)) for key in keys},
        ends={key: outcome for key, outcome in ends.items() if outcome is not None},
        expected_runs=expected_runs(records),
        mlflow_runs=read_mlflow_runs(location.mlflow_database, spec.name),
        missing_artifacts=tuple(
            missing_artifacts(folder.outbox, location.mlflow_database, location.mlflow_artifacts)
        ),
        outbox=Outbox(path=folder.outbox).pending(),
        leftovers=find_leftovers(folder),
        leaks=find_leaks(location.open_folders, location.secrets),
        retrained=retrained,
        event_log=event_log,
    )


def read_state(location: StudyLocation) -> StudyState:
    """Read a study's trials as any read-only command does."""
    folder = location.options.storage.study(location.name)
    spec = load_study(folder)
    maximize = spec.direction == "maximize"
    return StudyState(
        spec, folder, TrialStore(location.options.database_url, spec.name, maximize=maximize)
    )
