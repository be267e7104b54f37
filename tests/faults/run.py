"""A run with injected faults: harness, injector, retrained trials, audit and costs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from study.config.study_spec import StudySpec
from study.records.trial_table import StoredReport
from study.results.build import load_study
from study.results.state import StudyState
from study.storage.trial_store import TrialRecord
from tests.faults.checks import Check, check_empty
from tests.faults.event_log import EventLog, FaultCosts, count_costs
from tests.faults.evidence import Evidence, gather, read_state
from tests.faults.harness import Harness, start_harness
from tests.faults.injector import FaultInjector
from tests.faults.mlflow_checks import audit
from tests.faults.schedule import schedule
from trainables.config import TrialConfig
from trainables.datasets import DataFolders
from trainables.runtime.attempts import read_attempts
from trainables.trial import TrialContext, run_trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraining:
    """Trials of a study trained again in an empty folder."""

    spec: StudySpec
    state: StudyState
    data: DataFolders
    scratch: Path

    def differences(self, records: Sequence[TrialRecord]) -> Mapping[str, tuple[str, ...]]:
        """Train trials again; returns what then differs, by trial."""
        torch.set_num_threads(self.spec.resources.cpus)
        return {str(record.key): tuple(self._of_trial(record)) for record in records}

    def _of_trial(self, record: TrialRecord) -> Iterator[str]:
        again = self._train(self.state.config(record), self.scratch / str(record.key))
        stored = {report.epoch: report for report in self.state.reports_of(record.key)}
        for epoch in sorted(set(again) | set(stored)):
            yield from _of_epoch(epoch, stored.get(epoch), again.get(epoch))

    def _train(
        self, config: TrialConfig, folder: Path
    ) -> Mapping[int, Mapping[str, tuple[float, ...]]]:
        folder.mkdir(parents=True)
        context = TrialContext(folder=folder, data=self.data, device=torch.device("cpu"))
        return {report.epoch: report.metrics for report in run_trial(config, context)}


def _of_epoch(
    epoch: int, stored: StoredReport | None, again: Mapping[str, tuple[float, ...]] | None
) -> Iterator[str]:
    if stored is None or again is None:
        yield f"epoch {epoch} {'is missing' if stored is None else 'is one too many'}"
        return
    for metric in sorted(set(stored.metrics) | set(again)):
        before, now = stored.metrics.get(metric), again.get(metric)
        if before != now:
            yield f"epoch {epoch} {metric}: {before} instead of {now}"


def most_interrupted(
    records: Iterable[TrialRecord], n_attempts: Callable[[TrialRecord], int], seed: int, count: int
) -> tuple[TrialRecord, ...]:
    """Choose complete trials with the most attempts, at random among equals."""
    complete = [record for record in records if record.state == "COMPLETE"]
    random.Random(f"repeat {seed}").shuffle(complete)
    return tuple(sorted(complete, key=n_attempts, reverse=True)[:count])


# Each takes about as long as a trial.
_N_RETRAINED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRunConfig:
    """An empty folder, how long faults are injected, the seed of study and faults, a database."""

    root: Path
    seconds: float
    seed: int
    database: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRunResult:
    """The audit of a run with faults, and what the faults cost."""

    checks: tuple[Check, ...]
    costs: FaultCosts

    @property
    def is_clean(self) -> bool:
        """Whether no check found a difference."""
        return all(check.is_ok for check in self.checks)


def run_faults(config: FaultRunConfig, on_event: Callable[[str], None]) -> FaultRunResult:
    """Run a study under faults and audit it; every process of it has ended on return.

    Raises:
        ClusterError: If Ray's nodes or the database cannot be started.
        TrackingError: If MLflow's server cannot be started.
    """
    with start_harness(config.root, config.database, config.seed, on_event) as harness:
        injector = FaultInjector(
            harness=harness,
            faults=schedule(config.seed, config.seconds),
            seconds=config.seconds,
            on_event=on_event,
        )
        event_log = injector.run()
        harness.driver.end()
        on_event(f"auditing; {_N_RETRAINED} trials are trained again")
        evidence = _evidence(harness, event_log, config)
        attempts = {
            f"{row.arm}/{row.phase}/{row.number}": read_attempts(harness.folder.path / row.folder)
            for row in evidence.table.rows
        }
        costs = count_costs(event_log, evidence.table, attempts)
    left = check_empty("processes left", "none", harness.processes())
    return FaultRunResult(checks=(*audit(evidence), left), costs=costs)


def _evidence(harness: Harness, event_log: EventLog, config: FaultRunConfig) -> Evidence:
    spec, state = load_study(harness.folder), read_state(harness.location)
    chosen = most_interrupted(
        state.records(),
        lambda record: len(read_attempts(harness.folder.trial(record.key))),
        config.seed,
        _N_RETRAINED,
    )
    data = harness.location.options.data
    retraining = Retraining(spec=spec, state=state, data=data, scratch=harness.root / "again")
    return gather(harness.location, event_log, retraining.differences(chosen))
