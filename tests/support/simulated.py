"""Simulated studies: a known surface at zero cost, and an executor that misbehaves."""

from __future__ import annotations

import json
import random
import sqlite3
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from study.config.study_spec import StudySpec, parse
from study.engine.coordinator import TrialCoordinator
from study.engine.executors import ExecutionContext
from study.engine.protocol import Callback, TrialAssignment
from study.records.trial_table import StoredReport
from study.results.state import StudyState
from study.storage.layout import StorageRoot, StudyFolder, TrialKey
from study.storage.report_log import TrialOutcome, append_report
from study.storage.sqlite import sqlite_url
from study.storage.store_writer import StoreWriter
from study.storage.trial_files import TrialIdentity, begin_trial, write_outcome
from study.storage.trial_store import TrialRecord, TrialStore
from trainables.config import TrialConfig
from trainables.datasets import DataFolders
from trainables.decoding import encode
from trainables.report import Report

# The highest point of the surface, and the length of each dimension in units of its loss.
OPTIMUM = {"top_k": 4.0, "n_features": 0.1, "alpha": 0.6, "beta": 1.2, "split": 0.5}
SCALE = {"top_k": 9.0, "n_features": 0.29, "alpha": 1.9, "beta": 1.9, "split": 0.8}
PEAK = 0.9
NOISE = 0.005

_SPACE = {
    "top_k": {"low": 1, "high": 10},
    "n_features": {"low": 0.01, "high": 0.3},
    "alpha": {"low": 0.1, "high": 2.0},
    "beta": {"low": 0.1, "high": 2.0},
    "split": {"low": 0.1, "high": 0.9},
}


def study_file(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 (YAML)
    """Return a study of seconds: narrow VGG11, ten real digits, three arms, a sweep over K.

    Args:
        changes: ``epochs``, ``trials``, ``startup_trials``, ``sampler``, ``scheduler``, ``sweep``
            (values of K); anything else replaces a key at the top level.
    """
    values = changes.pop("sweep", [1, 2])
    sweep = [{"over": "top_k", "values": list(values)}] if values else []
    trials = changes.pop("trials", 2)
    return {
        "name": "tiny",
        "defaults": {
            "dataset": {"name": "digits", "train_per_class": 1, "val_size": 20, "test_size": 20},
            "model": {"name": "vgg11", "width": 0.0625},
            "training": {
                "epochs": changes.pop("epochs", 3),
                "batch_size": 10,
                "eval_every": 1,
                "checkpoint_every_s": 0,
            },
            "replicas": {"search": 2, "final": 2},
            "search": {
                "sampler": changes.pop("sampler", "tpe"),
                "trials": trials,
                "startup_trials": changes.pop("startup_trials", 2),
                "scheduler": changes.pop("scheduler", "none"),
                "space": _SPACE,
            },
        },
        "arms": [
            {"method": "base"},
            {"method": "random"},
            {"method": "challenger", "sensitivity": sweep},
        ],
        **changes,
    }


def study_text(**changes: Any) -> str:  # noqa: ANN401
    """Write :func:`study_file` as YAML."""
    return yaml.safe_dump(study_file(**changes), sort_keys=False)


@cache
def empty_database() -> bytes:
    """Return an Optuna database with empty tables: creating them takes a second."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optuna.db"
        TrialStore(sqlite_url(path), "none", maximize=True)
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.read_bytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFixture:
    """A study in a folder; each ``coordinator`` is that of another process."""

    root: Path
    spec: StudySpec
    database: str | None = None

    @classmethod
    def of(cls, root: Path, text: str, database: str | None = None) -> StudyFixture:
        """Create a study below a folder; its database too, unless one is given."""
        study = cls(root=root, spec=parse(text, "study.yaml"), database=database)
        if database is None and not study.storage.database.exists():
            root.mkdir(parents=True, exist_ok=True)
            study.storage.database.write_bytes(empty_database())
        return study

    @property
    def storage(self) -> StorageRoot:
        return StorageRoot(root=self.root)

    @property
    def folder(self) -> StudyFolder:
        return self.storage.study(self.spec.name)

    @property
    def context(self) -> ExecutionContext:
        return ExecutionContext(
            spec=self.spec,
            data=DataFolders(root=None, cache=self.storage.cache),
            scratch=self.folder.ray,
            plugins=self.folder.plugins,
            stop_file=self.folder.stop,
        )

    def store(self) -> TrialStore:
        maximize = self.spec.direction == "maximize"
        url = self.database or self.storage.database_url
        return TrialStore(url, self.spec.name, maximize=maximize)

    def state(self) -> StudyState:
        """Read the state of the study without changing it."""
        return StudyState(self.spec, self.folder, self.store())

    def coordinator(self, callbacks: Sequence[Callback] = ()) -> TrialCoordinator:
        self.folder.path.mkdir(parents=True, exist_ok=True)
        # However busy the machine is: tests of an unavailable database create their own writer.
        writer = StoreWriter(wait_s=600.0)
        return TrialCoordinator(
            self.spec, self.folder, self.store(), tuple(callbacks), writer=writer
        )


@dataclass(slots=True, kw_only=True)
class RecordingCallback:
    """A callback that records its calls."""

    events: list[tuple[str, str]] = field(default_factory=list)
    reports: list[tuple[str, int]] = field(default_factory=list)

    def on_trial_start(self, record: TrialRecord, config: TrialConfig) -> None:  # noqa: ARG002 (the interface)
        self.events.append(("began", str(record.key)))

    def on_report(self, key: TrialKey, report: StoredReport) -> None:
        self.reports.append((str(key), report.epoch))

    def on_trial_end(self, record: TrialRecord, reports: Sequence[StoredReport]) -> None:  # noqa: ARG002
        self.events.append((record.state, str(record.key)))


def level(params: Mapping[str, object]) -> float:
    """Return the height of the surface: a paraboloid with its peak at ``OPTIMUM``."""
    steps = [
        (float(str(params[name])) - OPTIMUM[name]) / SCALE[name]
        for name in OPTIMUM
        if name in params
    ]
    return PEAK - 0.5 * sum(step**2 for step in steps)


def simulated_reports(config: TrialConfig) -> list[Report]:
    """Return the reports of a trial, a function of its configuration alone."""
    height = level(encode(config.method))
    draws = [
        np.random.default_rng([seed, int(config.hash()[:8], 16)]).normal(0, NOISE)
        for seed in config.seeds
    ]
    reports = [Report(epoch=0, metrics={"filter_cosine/mean": tuple(draws)})]
    training = config.training
    for epoch in range(1, training.epochs + 1):
        if epoch % training.eval_every and epoch != training.epochs:
            continue
        lag = 0.3 * (1 - epoch / training.epochs)
        values = tuple(float(height - lag + draw) for draw in draws)
        reports.append(Report(epoch=epoch, metrics={"val/accuracy": values}))
    return reports


def assigned(coordinator: TrialCoordinator) -> TrialAssignment:
    """Ask for a trial, which there must be."""
    step = coordinator.ask()
    assert isinstance(step, TrialAssignment)
    return step


def complete(coordinator: TrialCoordinator, assignment: TrialAssignment) -> None:
    """Report all evaluations of a trial, and end it."""
    for report in simulated_reports(assignment.config):
        coordinator.report(assignment.key, report)
    coordinator.tell(assignment.key)


def simulate(coordinator: TrialCoordinator, context: ExecutionContext) -> None:  # noqa: ARG001
    """Execute a study without training."""
    while isinstance(assignment := coordinator.ask(), TrialAssignment):
        complete(coordinator, assignment)


def scripted(seed: int) -> Callable[[TrialCoordinator, ExecutionContext], None]:
    """Return an executor with three slots that reports twice, late, backwards and after the end.

    Every fifth search trial fails after its first reports, and every seventh is stopped early.
    """
    rng = random.Random(seed)

    def run(coordinator: TrialCoordinator, context: ExecutionContext) -> None:  # noqa: ARG001
        running: list[TrialAssignment] = []
        while True:
            while len(running) < 3 and isinstance(step := coordinator.ask(), TrialAssignment):
                running.append(step)
            if not running:
                return
            _misbehave(coordinator, running.pop(rng.randrange(len(running))), rng)

    return run


def _misbehave(
    coordinator: TrialCoordinator, assignment: TrialAssignment, rng: random.Random
) -> None:
    key = assignment.key
    reports = simulated_reports(assignment.config)
    is_search = key.phase == "search"
    fails, stops = is_search and key.number % 5 == 4, is_search and key.number % 7 == 6
    if fails or stops:
        reports = reports[: len(reports) // 2]
    for report in rng.sample(reports * 2, 2 * len(reports)):
        coordinator.report(key, report)
    for _ in range(2):
        if fails:
            coordinator.tell_failure(key, "scripted")
        else:
            coordinator.tell(key)
    for report in simulated_reports(assignment.config):
        coordinator.report(key, report)
    coordinator.tell_failure(key, "too late")
    coordinator.tell(key)


def write_files(folder: StudyFolder, identity: TrialIdentity, record: TrialRecord) -> None:
    """Write the files of a trial that only the trial store has."""
    begin_trial(folder, identity)
    if record.state == "RUNNING":
        return
    if record.value is not None:
        metrics = {"val/accuracy": (record.value,) * len(identity.seeds)}
        report = StoredReport(epoch=identity.epochs, time_ms=1, metrics=metrics)
        append_report(folder.reports(identity.key), report, identity.digest)
    end = TrialOutcome(
        state=record.state,
        value=record.value,
        reason=record.reason,
        finished_ms=record.finished_ms or 0,
    )
    write_outcome(folder, identity, end)


def lines(place: StudyFixture, key: TrialKey) -> list[str]:
    """Return the lines of a trial's report log."""
    path = place.folder.reports(key)
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def metrics_of(folder: StudyFolder) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    """Return all report logs of a study without their times: trial to epochs and metrics."""
    found = {}
    for path in sorted(folder.path.glob("trials/*/*/*/reports.jsonl")):
        stored = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        name = str(path.parent.relative_to(folder.path / "trials"))
        found[name] = [(report["epoch"], report["metrics"]) for report in stored]
    return found
