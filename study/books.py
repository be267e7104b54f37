"""What is known of a study's trials: read from ledger and result files, kept while it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from search_spaces import ParamValue
from study.group_search import GroupSearch, MemberTrial
from study.spec import Arm, StudySpec, baseline_of, replica_seeds
from study.store.ends import End
from study.store.folder import StudyFolder, TrialKey
from study.store.ledger import Entry, Ledger
from study.store.results import read_reports
from study.trial_table import PhaseName, StoredReport
from trainables.config import TrialConfig

PHASES: tuple[PhaseName, ...] = ("search", "final")


@dataclass(slots=True, kw_only=True)
class Phase:
    """What is known of one arm's search or final trials; mutable as trials move on.

    Attributes:
        entries: Its trials by number.
        reports: Their evaluations by number and epoch.
        orphans: Trials that were running when the books were opened, and have not been given out
            again.
        assigned: Trials that were given out and have not ended.
    """

    entries: dict[int, Entry]
    reports: dict[int, dict[int, StoredReport]]
    orphans: list[int]
    assigned: set[int] = field(default_factory=set)

    @property
    def is_running(self) -> bool:
        """Whether any trial has not ended."""
        # Of ten thousand trials few run, and this is asked at every turn of an executor's loop.
        return bool(self.assigned or self.orphans)


class Books:
    """All trials of a study: mutable, and written by the conductor alone."""

    def __init__(self, spec: StudySpec, folder: StudyFolder, ledger: Ledger) -> None:
        """Read where the study stands.

        Args:
            spec: The study.
            folder: Its folder.
            ledger: Its database.
        """
        self.spec = spec
        self._folder = folder
        self._phases = {
            (arm.name, phase): self._read(ledger, arm, phase)
            for arm in spec.arms
            for phase in PHASES
        }
        self.groups = {name: self._read_group(ledger, name) for name in spec.groups}
        self._best: dict[str, Mapping[str, ParamValue] | None] = {}

    def phase(self, arm: str, phase: PhaseName) -> Phase:
        """Give one arm's search or final trials."""
        return self._phases[arm, phase]

    @property
    def phases(self) -> Iterable[Phase]:
        """All arms' searches and final trials."""
        return self._phases.values()

    def entries(self) -> Iterator[Entry]:
        """Give all trials, by arm, phase and number."""
        for phase in self._phases.values():
            yield from phase.entries.values()

    def entry(self, key: TrialKey) -> Entry:
        """Give one trial."""
        return self._phases[key.arm, key.phase].entries[key.number]

    def known_reports(self, key: TrialKey) -> dict[int, StoredReport]:
        """Give a trial's evaluations by epoch, to be added to."""
        return self._phases[key.arm, key.phase].reports.setdefault(key.number, {})

    def reports_of(self, key: TrialKey) -> tuple[StoredReport, ...]:
        """Give a trial's stored evaluations by epoch."""
        known = self._phases[key.arm, key.phase].reports.get(key.number, {})
        return tuple(known[epoch] for epoch in sorted(known))

    def config(self, entry: Entry) -> TrialConfig:
        """Give the configuration of a trial."""
        return trial_config(self.spec, self.spec.arm(entry.key.arm), entry)

    def best(self, arm: Arm) -> Mapping[str, ParamValue] | None:
        """Give the chosen configuration, or None while the search goes on or if it found none."""
        if not arm.space.dimensions:
            return {}
        search = self.groups[arm.group] if arm.group else self._phases[arm.name, "search"]
        if search.is_running or len(search.entries) < arm.search_budget:
            return None
        if arm.name not in self._best:
            maximise = self.spec.direction == "maximise"
            # A search that has ended does not change, and this is asked again and again.
            self._best[arm.name] = best_params(search.entries.values(), maximise=maximise)
        return self._best[arm.name]

    def search_trial(self, arm: str, number: int) -> MemberTrial | None:
        """Give a search trial of an arm for its group, or None if it was not begun."""
        entry = self._phases[arm, "search"].entries.get(number)
        if entry is None:
            return None
        return MemberTrial(entry=entry, reports=self.reports_of(entry.key))

    def _read(self, ledger: Ledger, arm: Arm, name: PhaseName) -> Phase:
        entries = {entry.key.number: entry for entry in ledger.entries(arm.name, name)}
        reports = {
            number: {r.epoch: r for r in read_reports(self._folder.reports(entry.key))}
            for number, entry in entries.items()
        }
        orphans = [number for number, entry in entries.items() if entry.state == "RUNNING"]
        return Phase(entries=entries, reports=reports, orphans=orphans)

    def _read_group(self, ledger: Ledger, name: str) -> GroupSearch:
        members = self.spec.groups[name]
        return GroupSearch(
            name=name,
            members=members,
            baselines=tuple(baseline_of(arm, self.spec.arms) for arm in members),
            metric=self.spec.metric,
            entries={e.key.number: e for e in ledger.entries(name, "search")},
        )


def ended(entry: Entry, end: End) -> Entry:
    """Give what the ledger will say of a trial that ended."""
    return replace(
        entry, state=end.state, value=end.value, reason=end.reason, finished_ms=end.finished_ms
    )


def trial_config(spec: StudySpec, arm: Arm, entry: Entry) -> TrialConfig:
    """Make the configuration of a trial of the ledger."""
    is_final = entry.key.phase == "final"
    return arm.trial_config(entry.params, trial_seeds(spec, arm, entry), is_final=is_final)


def trial_seeds(spec: StudySpec, arm: Arm, entry: Entry) -> tuple[int, ...]:
    """Give the seeds of a trial's replicas: as many as were asked for when it was begun."""
    count = entry.replicas or arm.replicas.of(entry.key.phase)
    return replica_seeds(spec.seed, entry.key.phase, count)


def best_params(entries: Iterable[Entry], *, maximise: bool) -> Mapping[str, ParamValue] | None:
    """Give the point of the best complete trial, the earliest of equals; None if there is none."""
    sign = 1 if maximise else -1
    complete = [e for e in entries if e.state == "COMPLETE" and e.value is not None]
    if not complete:
        return None
    return max(complete, key=lambda e: (sign * (e.value or 0.0), -e.key.number)).params
