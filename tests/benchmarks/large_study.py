"""A study of many trials, written without running it, and its costs for driver and readers."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import optuna
from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from sqlalchemy import insert

from search_spaces.optuna_sampler import to_distribution
from study.config.arm import Arm
from study.config.run_options import RunOptions
from study.config.study_spec import StudySpec, parse
from study.engine.coordinator import TrialCoordinator
from study.engine.protocol import TrialAssignment
from study.engine.run import make_manifest
from study.records.trial_table import StoredReport
from study.results.state import StudyState
from study.storage.atomic_write import write_atomic
from study.storage.database import open_database
from study.storage.layout import StorageRoot, StudyFolder, write_manifest
from study.storage.provenance import write_provenance
from study.storage.report_log import TrialOutcome, append_report
from study.storage.trial_files import TrialIdentity, begin_trial, write_outcome
from study.storage.trial_store import TrialStore
from tests.benchmarks.measured_study import bench_text
from trainables.report import Report

_FIRST_MS: Final = 1_700_000_000_000
_TRIAL_MS: Final = 10_000
_EPOCHS: Final = 4


def make_large_study(options: RunOptions, trials: int) -> StudySpec:
    """Write a study that has ended: its search by SQL, its final trials by the coordinator."""
    text = bench_text(search={"trials": trials})
    spec = parse(text, "tests/benchmarks/study.yaml")
    folder = options.storage.study(spec.name)
    options.storage.prepare()
    write_atomic(folder.spec, text)
    write_manifest(folder.manifest, make_manifest(spec, text))
    write_provenance(folder.provenance, {})
    store = TrialStore(options.database_url, spec.name, maximize=True)
    storage = open_database(options.database_url)
    (arm,) = spec.arms
    name = f"{spec.name}/{arm.name}/search"
    optuna.create_study(storage=storage, study_name=name, direction="maximize")
    _insert_trials(storage, name, arm, trials)
    state = StudyState(spec, folder, store)
    # The disk is not what is measured.
    with patch("os.fsync"):
        for record in list(state.records()):
            _write_files(folder, state.identity(record))
    _run_final_trials(spec, folder, store)
    return spec


def _run_final_trials(spec: StudySpec, folder: StudyFolder, store: TrialStore) -> None:
    coordinator = TrialCoordinator(spec, folder, store, ())
    while isinstance(step := coordinator.ask(), TrialAssignment):
        for epoch in range(1, _EPOCHS + 1):
            metrics = {
                f"{split}/accuracy": (_value(0, epoch),) * len(step.config.seeds)
                for split in ("val", "test")
            }
            coordinator.report(step.key, Report(epoch=epoch, metrics=metrics))
        coordinator.tell(step.key)
    coordinator.flush()


def _insert_trials(storage: RDBStorage, name: str, arm: Arm, trials: int) -> None:
    """Insert all trials at once: one by one they would take longer than what is measured."""
    study_id, now = storage.get_study_id_from_name(name), datetime.now()
    begun: list[dict[str, Any]] = [
        {
            "trial_id": number + 1,
            "number": number,
            "study_id": study_id,
            "state": "COMPLETE",
            "datetime_start": now,
            "datetime_complete": now,
        }
        for number in range(trials)
    ]
    with storage.engine.begin() as connection:
        connection.execute(insert(models.TrialModel), begun)
        connection.execute(insert(models.TrialParamModel), list(_params(arm, trials)))
        connection.execute(insert(models.TrialValueModel), list(_values(trials)))
        connection.execute(
            insert(models.TrialIntermediateValueModel), list(_intermediate_values(trials))
        )
        connection.execute(insert(models.TrialUserAttributeModel), list(_user_attributes(trials)))


def _params(arm: Arm, trials: int) -> Iterator[dict[str, Any]]:
    draw = random.Random(0)
    axes = {name: to_distribution(axis) for name, axis in arm.space.dimensions.items()}
    texts = {name: distribution_to_json(within) for name, within in axes.items()}
    for number in range(trials):
        for name, within in axes.items():
            value: Any = draw.uniform(within.low, within.high)  # type: ignore[attr-defined]
            yield {
                "trial_id": number + 1,
                "param_name": name,
                "param_value": within.to_internal_repr(round(value) if name == "top_k" else value),
                "distribution_json": texts[name],
            }


def _values(trials: int) -> Iterator[dict[str, Any]]:
    for number in range(trials):
        value = _value(number, _EPOCHS)
        yield {"trial_id": number + 1, "objective": 0, "value": value, "value_type": "FINITE"}


def _intermediate_values(trials: int) -> Iterator[dict[str, Any]]:
    for number in range(trials):
        for epoch in range(1, _EPOCHS + 1):
            yield {
                "trial_id": number + 1,
                "step": epoch,
                "intermediate_value": _value(number, epoch),
                "intermediate_value_type": "FINITE",
            }


def _user_attributes(trials: int) -> Iterator[dict[str, Any]]:
    for number in range(trials):
        began_ms = _FIRST_MS + number * _TRIAL_MS
        notes = {"started_ms": began_ms, "replicas": 1, "finished_ms": began_ms + _TRIAL_MS}
        for name, note in notes.items():
            yield {"trial_id": number + 1, "key": name, "value_json": json.dumps(note)}


def _write_files(folder: StudyFolder, identity: TrialIdentity) -> None:
    begin_trial(folder, identity)
    number = identity.number
    for epoch in range(1, _EPOCHS + 1):
        names = ("val/accuracy", "val/nll", "train/accuracy", "train/nll")
        report = StoredReport(
            epoch=epoch,
            time_ms=_FIRST_MS + number * _TRIAL_MS + epoch * 2_000,
            metrics=dict.fromkeys(names, (_value(number, epoch),)),
            usage={"trained_s": 2.0, "cpu_s": 2.0},
        )
        append_report(folder.reports(identity.key), report, identity.digest)
    end = TrialOutcome(
        state="COMPLETE",
        value=_value(number, _EPOCHS),
        finished_ms=_FIRST_MS + (number + 1) * _TRIAL_MS,
    )
    write_outcome(folder, identity, end)


def _value(number: int, epoch: int) -> float:
    return 0.5 + (number * 7919 % 1000) / 4000 + 0.05 * epoch


# `-P`: a folder called study in the current one is not our package.
_PROGRAM: Final = ("-P", "-c", "from study.cli.main import main; main()")
_OPEN_STUDY: Final = """
import sys
from pathlib import Path
from study.engine.coordinator import TrialCoordinator
from study.storage.layout import StorageRoot
from study.storage.trial_store import TrialStore
from study.results.build import load_study
from trainables.runtime.resource_monitor import resident_bytes
storage = StorageRoot(root=Path(sys.argv[1]))
folder = storage.study("bench")
store = TrialStore(storage.database_url, "bench", maximize=True)
before = resident_bytes()
coordinator = TrialCoordinator(load_study(folder), folder, store, ())
print(before, resident_bytes())
"""
# As the command does it, but without MLflow, which would need all trials first.
_WRITE_REPORT: Final = """
import sys
from pathlib import Path
from study.config.run_options import RunOptions
from study.engine.publishing import publish_report
from study.storage.layout import StorageRoot
from study.results.build import load_study, load_trial_table
from study.tracking.callback import tracked_study
from study.tracking.outbox import Outbox
storage = StorageRoot(root=Path(sys.argv[1]))
folder = storage.study("bench")
table = load_trial_table("bench", RunOptions(storage=storage))
tracked = tracked_study(load_study(folder))
publish_report(table, folder, Outbox(path=folder.outbox), tracked)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeStudyCosts:
    trials: int
    driver_mib: float
    driver_mib_for_trials: float
    open_seconds: float
    status_seconds: float
    report_seconds: float


def measure_large_study(root: Path, trials: int) -> LargeStudyCosts:
    make_large_study(RunOptions(storage=StorageRoot(root=root)), trials)
    open_s, output = _timed("-P", "-c", _OPEN_STUDY, str(root))
    before, after = (int(word) / 2**20 for word in output.split())
    status_s, _ = _timed(*_PROGRAM, "status", "bench", "--storage", str(root))
    report_s, _ = _timed("-P", "-c", _WRITE_REPORT, str(root))
    return LargeStudyCosts(
        trials=trials,
        driver_mib=after,
        driver_mib_for_trials=after - before,
        open_seconds=open_s,
        status_seconds=status_s,
        report_seconds=report_s,
    )


def _timed(*arguments: str) -> tuple[float, str]:
    """Run Python; returns the seconds that took, and its output."""
    home = str(Path(__file__).resolve().parents[2])
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": home},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return time.monotonic() - began, ended.stdout
