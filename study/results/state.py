"""What is known of a study's trials: read from ledger and result files, kept while it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from search_spaces import ParamValue
from study.config import Arm, StudySpec, baseline_of, replica_seeds
from study.records.trial_table import PhaseName, StoredReport
from study.results.multi_dataset import GroupSearch, MemberTrial
from study.storage.layout import StudyFolder, TrialKey
from study.storage.report_log import TrialOutcome, read_reports
from study.storage.trial_store import TrialRecord, TrialStore
from trainables.config import TrialConfig

PHASES: tuple[PhaseName, ...] = ("search", "final")


@dataclass(slots=True, kw_only=True)
class PhaseState:
    """What is known of one arm's search or final trials; mutable as trials move on.

    Attributes:
        entries: Its trials by number.
        reports: Their evaluations by number and epoch.
        orphans: Trials that were running when the books were opened, and have not been given out
            again.
        assigned: Trials that were given out and have not ended.
    """

    records: dict[int, TrialRecord]
    reports: dict[int, dict[int, StoredReport]]
    interrupted: list[int]
    assigned: set[int] = field(default_factory=set)

    @property
    def is_running(self) -> bool:
        """Whether any trial has not ended."""
        # Of ten thousand trials few run, and this is asked at every turn of an executor's loop.
        return bool(self.assigned or self.interrupted)


class StudyState:
    """All trials of a study: mutable, and written by the conductor alone."""

    def __init__(self, spec: StudySpec, folder: StudyFolder, store: TrialStore) -> None:
        """Read where the study stands.

        Args:
            spec: The study.
            folder: Its folder.
            ledger: Its database.
        """
        self.spec = spec
        self._folder = folder
        self._phases = {
            (arm.name, phase): self._load_phase(store, arm, phase)
            for arm in spec.arms
            for phase in PHASES
        }
        self.groups = {name: self._load_group(store, name) for name in spec.groups}
        self._best: dict[str, Mapping[str, ParamValue] | None] = {}

    def phase(self, arm: str, phase: PhaseName) -> PhaseState:
        """Give one arm's search or final trials."""
        return self._phases[arm, phase]

    @property
    def phases(self) -> Iterable[PhaseState]:
        """All arms' searches and final trials."""
        return self._phases.values()

    def records(self) -> Iterator[TrialRecord]:
        """Give all trials, by arm, phase and number."""
        for phase in self._phases.values():
            yield from phase.records.values()

    def record(self, key: TrialKey) -> TrialRecord:
        """Give one trial."""
        return self._phases[key.arm, key.phase].records[key.number]

    def reports_by_epoch(self, key: TrialKey) -> dict[int, StoredReport]:
        """Give a trial's evaluations by epoch, to be added to."""
        return self._phases[key.arm, key.phase].reports.setdefault(key.number, {})

    def reports_of(self, key: TrialKey) -> tuple[StoredReport, ...]:
        """Give a trial's stored evaluations by epoch."""
        known = self._phases[key.arm, key.phase].reports.get(key.number, {})
        return tuple(known[epoch] for epoch in sorted(known))

    def config(self, record: TrialRecord) -> TrialConfig:
        """Give the configuration of a trial."""
        return trial_config(self.spec, self.spec.arm(record.key.arm), record)

    def best(self, arm: Arm) -> Mapping[str, ParamValue] | None:
        """Give the chosen configuration, or None while the search goes on or if it found none."""
        if not arm.space.dimensions:
            return {}
        search = self.groups[arm.group] if arm.group else self._phases[arm.name, "search"]
        if search.is_running or len(search.records) < arm.search_budget:
            return None
        if arm.name not in self._best:
            maximize = self.spec.direction == "maximize"
            # A search that has ended does not change, and this is asked again and again.
            self._best[arm.name] = best_params(search.records.values(), maximize=maximize)
        return self._best[arm.name]

    def search_trial(self, arm: str, number: int) -> MemberTrial | None:
        """Give a search trial of an arm for its group, or None if it was not begun."""
        record = self._phases[arm, "search"].records.get(number)
        if record is None:
            return None
        return MemberTrial(record=record, reports=self.reports_of(record.key))

    def _load_phase(self, store: TrialStore, arm: Arm, name: PhaseName) -> PhaseState:
        records = {record.key.number: record for record in store.records(arm.name, name)}
        reports = {
            number: {r.epoch: r for r in read_reports(self._folder.reports(record.key))}
            for number, record in records.items()
        }
        interrupted = [number for number, record in records.items() if record.state == "RUNNING"]
        return PhaseState(records=records, reports=reports, interrupted=interrupted)

    def _load_group(self, store: TrialStore, name: str) -> GroupSearch:
        members = self.spec.groups[name]
        return GroupSearch(
            name=name,
            members=members,
            baselines=tuple(baseline_of(arm, self.spec.arms) for arm in members),
            metric=self.spec.metric,
            records={e.key.number: e for e in store.records(name, "search")},
        )


def finish_record(record: TrialRecord, outcome: TrialOutcome) -> TrialRecord:
    """Give what the ledger will say of a trial that ended."""
    return replace(
        record,
        state=outcome.state,
        value=outcome.value,
        reason=outcome.reason,
        finished_ms=outcome.finished_ms,
    )


def trial_config(spec: StudySpec, arm: Arm, record: TrialRecord) -> TrialConfig:
    """Make the configuration of a trial of the ledger."""
    is_final = record.key.phase == "final"
    return arm.trial_config(record.params, trial_seeds(spec, arm, record), is_final=is_final)


def trial_seeds(spec: StudySpec, arm: Arm, record: TrialRecord) -> tuple[int, ...]:
    """Give the seeds of a trial's replicas: as many as were asked for when it was begun."""
    count = record.replicas or arm.replicas.of(record.key.phase)
    return replica_seeds(spec.seed, record.key.phase, count)


def best_params(
    records: Iterable[TrialRecord], *, maximize: bool
) -> Mapping[str, ParamValue] | None:
    """Give the point of the best complete trial, the earliest of equals; None if there is none."""
    sign = 1 if maximize else -1
    complete = [e for e in records if e.state == "COMPLETE" and e.value is not None]
    if not complete:
        return None
    return max(complete, key=lambda e: (sign * (e.value or 0.0), -e.key.number)).params
