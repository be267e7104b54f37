"""Studies without training: a known surface at zero cost, and an executor that misbehaves."""

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

from study.books import Books
from study.conductor import Conductor
from study.executors import Surroundings
from study.handout import Assignment, Listener
from study.spec import StudySpec, parse
from study.sqlite_file import sqlite_url
from study.store.clerk import Clerk
from study.store.folder import Storage, StudyFolder, TrialKey
from study.store.ledger import Entry, Ledger
from study.trial_table import StoredReport
from trainables.config import TrialConfig
from trainables.datasets import DataFolders
from trainables.decoding import encode
from trainables.report import Report

# Where the surface is highest, and how far one goes from there to lose as much as anywhere.
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
    """Give a study of seconds: narrow VGG11, ten real digits, three arms, a sweep over K.

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
    """Give an Optuna database with its tables alone: making them takes a second."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optuna.db"
        Ledger(sqlite_url(path), "none", maximise=True)
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.read_bytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A study in a folder; each ``conductor`` stands for a process that takes it up anew."""

    root: Path
    spec: StudySpec
    database: str | None = None

    @classmethod
    def of(cls, root: Path, text: str, database: str | None = None) -> Place:
        """Place the study of a file below a folder; its database too, unless one is given."""
        place = cls(root=root, spec=parse(text, "study.yaml"), database=database)
        if database is None and not place.storage.database.exists():
            root.mkdir(parents=True, exist_ok=True)
            place.storage.database.write_bytes(empty_database())
        return place

    @property
    def storage(self) -> Storage:
        return Storage(root=self.root)

    @property
    def folder(self) -> StudyFolder:
        return self.storage.study(self.spec.name)

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(
            spec=self.spec,
            data=DataFolders(root=None, cache=self.storage.cache),
            scratch=self.folder.ray,
            stop_file=self.folder.stop,
        )

    def ledger(self) -> Ledger:
        maximise = self.spec.direction == "maximise"
        url = self.database or self.storage.database_url
        return Ledger(url, self.spec.name, maximise=maximise)

    def books(self) -> Books:
        """Read how the study stands, as a command that only looks."""
        return Books(self.spec, self.folder, self.ledger())

    def conductor(self, listeners: Sequence[Listener] = ()) -> Conductor:
        self.folder.path.mkdir(parents=True, exist_ok=True)
        # However busy the machine is: a test that is to meet an absent database makes its own.
        clerk = Clerk(patience_s=600.0)
        return Conductor(self.spec, self.folder, self.ledger(), tuple(listeners), clerk=clerk)


@dataclass(slots=True, kw_only=True)
class Recorder:
    """A listener that writes down what it is told."""

    events: list[tuple[str, str]] = field(default_factory=list)
    reports: list[tuple[str, int]] = field(default_factory=list)

    def began(self, entry: Entry, config: TrialConfig) -> None:  # noqa: ARG002 (the interface)
        self.events.append(("began", str(entry.key)))

    def reported(self, key: TrialKey, report: StoredReport) -> None:
        self.reports.append((str(key), report.epoch))

    def ended(self, entry: Entry, reports: Sequence[StoredReport]) -> None:  # noqa: ARG002
        self.events.append((entry.state, str(entry.key)))


def level(params: Mapping[str, object]) -> float:
    """Give the surface's height: a paraboloid with its peak at ``OPTIMUM``."""
    steps = [
        (float(str(params[name])) - OPTIMUM[name]) / SCALE[name]
        for name in OPTIMUM
        if name in params
    ]
    return PEAK - 0.5 * sum(step**2 for step in steps)


def simulated_reports(config: TrialConfig) -> list[Report]:
    """Give the reports of a trial at once: a function of its configuration alone."""
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


def simulate(conductor: Conductor, surroundings: Surroundings) -> None:  # noqa: ARG001
    """Execute a study without training."""
    while isinstance(assignment := conductor.next(), Assignment):
        for report in simulated_reports(assignment.config):
            conductor.report(assignment.key, report)
        conductor.finish(assignment.key)


def scripted(seed: int) -> Callable[[Conductor, Surroundings], None]:
    """Make an executor with three slots that reports twice, late, backwards and after the end.

    Every fifth search trial fails after its first reports, and every seventh is stopped early.
    """
    rng = random.Random(seed)

    def run(conductor: Conductor, surroundings: Surroundings) -> None:  # noqa: ARG001
        running: list[Assignment] = []
        while True:
            while len(running) < 3 and isinstance(step := conductor.next(), Assignment):
                running.append(step)
            if not running:
                return
            _misbehave(conductor, running.pop(rng.randrange(len(running))), rng)

    return run


def _misbehave(conductor: Conductor, assignment: Assignment, rng: random.Random) -> None:
    key = assignment.key
    reports = simulated_reports(assignment.config)
    is_search = key.phase == "search"
    fails, stops = is_search and key.number % 5 == 4, is_search and key.number % 7 == 6
    if fails or stops:
        reports = reports[: len(reports) // 2]
    for report in rng.sample(reports * 2, 2 * len(reports)):
        conductor.report(key, report)
    for _ in range(2):
        if fails:
            conductor.fail(key, "scripted")
        else:
            conductor.finish(key)
    for report in simulated_reports(assignment.config):
        conductor.report(key, report)
    conductor.fail(key, "too late")
    conductor.finish(key)


def lines(place: Place, key: TrialKey) -> list[str]:
    """Give the lines of a trial's result file."""
    path = place.folder.reports(key)
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def metrics_of(folder: StudyFolder) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    """Give all result files of a study without their times: trial to epochs and metrics."""
    found = {}
    for path in sorted(folder.path.glob("trials/*/*/*/reports.jsonl")):
        stored = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        name = str(path.parent.relative_to(folder.path / "trials"))
        found[name] = [(report["epoch"], report["metrics"]) for report in stored]
    return found
