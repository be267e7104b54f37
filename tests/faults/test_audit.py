"""An audit passes a whole study, and each of its checks fails for one damage."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from study.config.run_options import RunOptions
from study.engine.run import make_manifest
from study.records.trial_table import TrialTable
from study.results.build import build_trial_table
from study.storage.layout import StorageRoot, write_manifest
from study.tracking import mlflow_records, sync_process
from study.tracking.arm_summary import arm_summary_records
from study.tracking.callback import TrackingCallback, tracked_study
from study.tracking.outbox import Outbox
from study.tracking.record_types import LogArtifact
from tests.faults.checks import CHECKS
from tests.faults.event_log import DriverExit, EventLog, InjectedFault
from tests.faults.evidence import Evidence, StudyLocation, gather
from tests.faults.mlflow_checks import audit
from tests.faults.schedule import Fault
from tests.support.simulated import StudyFixture, simulate, study_text

pytestmark = pytest.mark.service

STUDY = study_text(sampler="random", trials=3, epochs=3)
SECRET = "rosebud-1941"
A_TRIAL = "challenger/search/0"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a finished study and an MLflow database that has all of it."""
    root = tmp_path_factory.mktemp("whole")
    study = StudyFixture.of(root / "storage", STUDY)
    outbox = Outbox(path=study.folder.outbox)
    tracked = tracked_study(study.spec)
    tracking = TrackingCallback(study.spec, study.folder, tracked, outbox.put)
    coordinator = study.coordinator([tracking])
    simulate(coordinator, study.context)
    assert coordinator.flush()
    table = build_trial_table(study.spec, study.folder, study.state())
    figure = root / "figure.png"
    figure.write_bytes(b"figure")
    outbox.put(mlflow_records.all_records(tracked, table))
    outbox.put(arm_summary_records(table))
    outbox.put([LogArtifact(run_key="arm/base", path=str(figure), artifact_folder="figures")])
    _write_study(study, table)
    uri = f"sqlite:///{root / 'mlflow.db'}"
    log = root / "sync.log"
    sync = sync_process.start(outbox.path, "tiny", root / "artifacts", uri, log)
    assert sync.finish(120.0, lambda _: None).records == 0, log.read_text()
    outbox.close()
    # As a server writes them, so that the folder can be copied.
    _sql(
        root / "mlflow.db",
        "UPDATE runs SET artifact_uri = replace(artifact_uri, ?, 'mlflow-artifacts:')",
        f"file://{root / 'artifacts'}",
    )
    return root


def _write_study(study: StudyFixture, table: TrialTable) -> None:
    study.folder.spec.write_text(STUDY, encoding="utf-8")
    write_manifest(study.folder.manifest, make_manifest(study.spec, STUDY, table))


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    """Return a copy of the study, to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def evidence_of(root: Path) -> Evidence:
    location = StudyLocation(
        name="tiny",
        options=RunOptions(storage=StorageRoot(root=root / "storage")),
        mlflow_database=root / "mlflow.db",
        mlflow_artifacts=root / "artifacts",
        open_folders=(root,),
        secrets=(SECRET,),
    )
    return gather(location, EventLog(), {A_TRIAL: ()})


def failing(evidence: Evidence) -> dict[str, str]:
    return {check.name: check.found for check in audit(evidence) if not check.is_ok}


def _sql(database: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        assert connection.execute(statement, values).rowcount != 0


def optuna(statement: str) -> Callable[[Path], None]:
    return lambda root: _sql(root / "storage" / "optuna.db", statement)


def mlflow(statement: str) -> Callable[[Path], None]:
    return lambda root: _sql(root / "mlflow.db", statement)


def outbox(statement: str) -> Callable[[Path], None]:
    return lambda root: _sql(root / "storage" / "tiny" / "outbox.db", statement)


def trial_folder(root: Path, key: str = A_TRIAL) -> Path:
    arm, phase, number = key.split("/")
    return root / "storage" / "tiny" / "trials" / arm / phase / f"{int(number):05d}"


def lines(change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        path = trial_folder(root) / "reports.jsonl"
        path.write_text("".join(change(path.read_text().splitlines(keepends=True))))

    return damage


def new_file(name: str, content: bytes = b"x") -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        (trial_folder(root) / name).write_bytes(content)

    return damage


def no_artifact(root: Path) -> None:
    next((root / "artifacts").rglob("figure.png")).unlink()


_TRIAL = (
    "(SELECT trial_id FROM trials JOIN studies USING (study_id) WHERE number = 0 "
    "AND study_name = 'tiny/challenger/{}')"
)
_RUN = "(SELECT run_uuid FROM tags WHERE value = 'trial/challenger/search/0')"

DAMAGES: dict[str, tuple[Callable[[Path], None], set[str]]] = {
    "a search trial is one too many": (
        optuna(
            "INSERT INTO trials (number, study_id, state) SELECT 3, study_id, 'COMPLETE' FROM "
            "studies WHERE study_name = 'tiny/challenger/search'"
        ),
        {"search trials asked", "epochs in result files", "end files", "runs in MLflow"},
    ),
    "a final trial is gone": (
        optuna(f"DELETE FROM trials WHERE trial_id = {_TRIAL.format('final')}"),
        {"final trials asked", "chosen points trained", "trial numbers", "runs in MLflow"},
    ),
    "a trial was never told": (
        optuna(f"UPDATE trials SET state = 'RUNNING' WHERE trial_id = {_TRIAL.format('search')}"),
        {"trials told", "end files"},
    ),
    "a trial failed": (
        optuna(f"UPDATE trials SET state = 'FAIL' WHERE trial_id = {_TRIAL.format('search')}"),
        {"trials failed"},
    ),
    "a point was trained twice": (
        optuna(
            "UPDATE trial_params SET param_value = (SELECT max(param_value) FROM trial_params AS "
            "other WHERE other.param_name = 'top_k') WHERE param_name = 'top_k'"
        ),
        {"points of final trials", "chosen points trained", "params in MLflow"},
    ),
    "an epoch stands twice in a result file": (
        lines(lambda found: [*found, found[1]]),
        {"epochs in result files"},
    ),
    "an intermediate value differs": (
        optuna(
            "UPDATE trial_intermediate_values SET intermediate_value = 0.25 WHERE step = 2 "
            f"AND trial_id = {_TRIAL.format('search')}"
        ),
        {"epochs in Optuna"},
    ),
    "a value differs": (
        optuna(f"UPDATE trial_values SET value = 0.1 WHERE trial_id = {_TRIAL.format('search')}"),
        {"values in Optuna", "end files", "metric values in MLflow", "rows and files agree"},
    ),
    "a report was altered": (
        lines(lambda found: [found[0].replace("0.", "0.0", 1), *found[1:]]),
        {"rows and files agree"},
    ),
    "a checkpoint is left": (new_file("epoch-00000002-00.pt"), {"checkpoints left"}),
    "a file was never renamed": (
        new_file(".epoch-00000002-00.pt.77.tmp"),
        {"temporary files left"},
    ),
    "a log holds the password": (new_file("log", SECRET.encode()), {"secrets in files"}),
    "a tag is missing": (
        mlflow(f"DELETE FROM tags WHERE key = 'state' AND run_uuid = {_RUN}"),
        {"tags in MLflow"},
    ),
    "a metric value is missing": (
        mlflow(f"DELETE FROM metrics WHERE step = 2 AND run_uuid = {_RUN}"),
        {"metric values in MLflow"},
    ),
    "a run did not end": (
        mlflow(f"UPDATE runs SET status = 'RUNNING' WHERE run_uuid = {_RUN}"),
        {"ends in MLflow"},
    ),
    "a file is not in MLflow": (no_artifact, {"files in MLflow"}),
    "a record waits": (
        outbox("UPDATE record SET state = 'waiting' WHERE seq = 3"),
        {"outbox"},
    ),
}


def test_a_study_that_is_whole_passes(root: Path) -> None:
    evidence = evidence_of(root)
    assert failing(evidence) == {}
    assert len(audit(evidence)) == len(CHECKS)
    assert {row.state for row in evidence.table.rows} == {"COMPLETE"}
    assert len(evidence.mlflow_runs) == 3 + 6 + 5


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_study_fails_if(root: Path, damage: str) -> None:
    damaged, expected = DAMAGES[damage]
    damaged(root)
    assert expected <= set(failing(evidence_of(root)))


def injected(outcome: str) -> InjectedFault:
    fault = Fault(kind="twice", at_s=1.0)
    return InjectedFault(fault=fault, at_s=2.0, outcome=outcome, note="exit code 0")


def driver_end(code: int, cause: str | None) -> DriverExit:
    return DriverExit(at_s=3.4, code=code, cause=cause, output="KeyError: 'x'")


RUNS: dict[str, tuple[EventLog, dict[str, str]]] = {
    "study finished": (EventLog(is_finished=False), {"study finished": "no"}),
    "driver ends explained": (
        EventLog(ends=(driver_end(1, None), driver_end(-9, "driver"))),
        {"driver ends explained": "1: exit code 1 at 3 s: KeyError: 'x'"},
    ),
    "promises kept on the spot": (
        EventLog(injected=(injected("failed"), injected("survived"), injected("skipped"))),
        {"promises kept on the spot": "1: twice at 2 s: exit code 0"},
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_broken_promise_fails_the_audit(root: Path, name: str) -> None:
    event_log, expected = RUNS[name]
    assert failing(replace(evidence_of(root), event_log=event_log)) == expected


def test_every_check_was_seen_to_fail() -> None:
    seen = {name for _, names in DAMAGES.values() for name in names} | set(RUNS)
    assert seen | {"trials trained again"} == set(CHECKS)
