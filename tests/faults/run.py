"""A run with injected faults: harness, injector, retrained trials, audit and costs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from study.config import StudySpec
from study.records.trial_table import StoredReport
from study.results.build import load_study
from study.results.state import StudyState
from study.storage.trial_store import TrialRecord
from tests.faults.audit import audit
from tests.faults.checks import Check, check_empty
from tests.faults.event_log import EventLog, FaultCosts, costs
from tests.faults.evidence import Evidence, gather, read_state
from tests.faults.harness import Harness, start_harness
from tests.faults.injector import FaultInjector
from tests.faults.schedule import schedule
from trainables.config import TrialConfig
from trainables.datasets import DataFolders
from trainables.runtime.attempts import read_attempts
from trainables.trial import TrialContext, run_trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraining:
    """What is needed to train trials of a study again.

    Attributes:
        spec: The study.
        books: Its trials.
        data: Where data is read from.
        scratch: An empty folder.
    """

    spec: StudySpec
    state: StudyState
    data: DataFolders
    scratch: Path

    def differences(self, records: Sequence[TrialRecord]) -> Mapping[str, tuple[str, ...]]:
        """Train trials again; gives what then differs, by trial."""
        torch.set_num_threads(self.spec.resources.cpus)
        return {str(record.key): tuple(_differences(self, record)) for record in records}


def most_interrupted(
    records: Iterable[TrialRecord], n_attempts: Callable[[TrialRecord], int], seed: int, count: int
) -> tuple[TrialRecord, ...]:
    """Choose complete trials that were interrupted most often, at random among equals.

    Args:
        entries: All trials.
        n_attempts: Gives how often a process took a trial up.
        seed: Chooses among equals.
        count: How many at most.
    """
    complete = [record for record in records if record.state == "COMPLETE"]
    random.Random(f"repeat {seed}").shuffle(complete)
    return tuple(sorted(complete, key=n_attempts, reverse=True)[:count])


def _differences(study: Retraining, record: TrialRecord) -> Iterator[str]:
    again = _train(study.state.config(record), study.data, study.scratch / str(record.key))
    stored = {report.epoch: report for report in study.state.reports_of(record.key)}
    for epoch in sorted(set(again) | set(stored)):
        yield from _of_epoch(epoch, stored.get(epoch), again.get(epoch))


def _train(
    config: TrialConfig, data: DataFolders, folder: Path
) -> Mapping[int, Mapping[str, tuple[float, ...]]]:
    folder.mkdir(parents=True)
    context = TrialContext(folder=folder, data=data, device=torch.device("cpu"))
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


# Each takes about as long as a trial.
_N_RETRAINED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRunConfig:
    """What a run of chaos shall be.

    Attributes:
        root: An empty folder.
        seconds: How long blows are struck.
        seed: Chooses the blows, and seeds the study.
        database: ``sqlite`` or ``postgresql``.
    """

    root: Path
    seconds: float
    seed: int
    database: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRunResult:
    """How a run of chaos ended.

    Attributes:
        checks: The audit.
        account: What the blows cost.
    """

    checks: tuple[Check, ...]
    costs: FaultCosts

    @property
    def is_clean(self) -> bool:
        """Whether everything that was looked at is as it must be."""
        return all(check.is_ok for check in self.checks)


def run_faults(config: FaultRunConfig, on_event: Callable[[str], None]) -> FaultRunResult:
    """Run a study under blows and audit it; everything that was started has ended on return.

    Args:
        wish: What is wanted.
        tell: Told each event, in a line.

    Raises:
        ClusterError: If Ray's nodes or the database cannot be started.
        TrackingError: If MLflow's server cannot be started.
    """
    with start_harness(config.root, config.database, config.seed, on_event) as harness:
        faults = schedule(config.seed, config.seconds)
        storm = FaultInjector(
            harness=harness, faults=faults, seconds=config.seconds, on_event=on_event
        )
        event_log = storm.run()
        harness.driver.end()
        on_event(f"auditing; {_N_RETRAINED} trials are trained again")
        evidence = _evidence(harness, event_log, config)
        cost = _count_costs(harness, evidence)
    left = check_empty("processes left", "none", harness.processes())
    return FaultRunResult(checks=(*audit(evidence), left), costs=cost)


def _evidence(harness: Harness, event_log: EventLog, config: FaultRunConfig) -> Evidence:
    spec, state = load_study(harness.folder), read_state(harness.location)
    chosen = most_interrupted(
        state.records(),
        lambda entry: len(read_attempts(harness.folder.trial(entry.key))),
        config.seed,
        _N_RETRAINED,
    )
    data = harness.location.options.data
    retraining = Retraining(spec=spec, state=state, data=data, scratch=harness.root / "again")
    return gather(harness.location, event_log, retraining.differences(chosen))


def _count_costs(harness: Harness, evidence: Evidence) -> FaultCosts:
    attempts = {
        f"{row.arm}/{row.phase}/{row.number}": read_attempts(harness.folder.path / row.folder)
        for row in evidence.table.rows
    }
    return costs(evidence.event_log, evidence.table, attempts)
