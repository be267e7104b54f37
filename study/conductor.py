"""Which trial comes next, and what becomes of its reports: a study's rules, whoever executes it.

Executors ask :meth:`Conductor.next` for work and say what happened to it; they hold no state of
their own. Everything the conductor knows can be read again from the ledger and the result files,
so that a new one goes on exactly where a killed one stood: a trial that was running is handed
out again under its own number and continues from its own checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

from search_spaces import ParamValue, distinct
from study.group_search import GroupSearch, MemberTrial
from study.spec import Arm, StudySpec, baseline_of, replica_seeds
from study.store.folder import StudyFolder, TrialKey
from study.store.ledger import Entry, Ledger, SamplerSettings
from study.store.results import append_report, read_reports
from study.trial_table import PhaseName, StoredReport
from trainables.config import TrialConfig
from trainables.report import Report, mean
from trainables.seeding import derive_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A trial to train, from the beginning or from its newest checkpoint."""

    key: TrialKey
    config: TrialConfig
    folder: Path


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be begun until a running trial ends."""


@dataclass(frozen=True, slots=True)
class Done:
    """All trials have ended."""


Next: TypeAlias = Assignment | Wait | Done


class Listener(Protocol):
    """Is told, in order, what happens to trials; must return at once and never raise."""

    def began(self, entry: Entry, config: TrialConfig) -> None:
        """A trial was handed out, for the first time or again."""

    def reported(self, key: TrialKey, report: StoredReport) -> None:
        """A new evaluation was stored."""

    def ended(self, entry: Entry, reports: Sequence[StoredReport]) -> None:
        """A trial was told."""


@dataclass(slots=True, kw_only=True)
class _Phase:
    """What is known of one arm's search or final trials; mutable as trials move on."""

    entries: dict[int, Entry]
    reports: dict[int, dict[int, StoredReport]]
    orphans: list[int]
    assigned: set[int] = field(default_factory=set)

    @property
    def is_running(self) -> bool:
        return any(entry.state == "RUNNING" for entry in self.entries.values())


class Conductor:
    """Hands out trials and keeps the books. Not thread-safe: executors call it from one thread."""

    def __init__(
        self,
        spec: StudySpec,
        folder: StudyFolder,
        ledger: Ledger,
        listeners: Iterable[Listener],
        *,
        is_reader: bool = False,
    ) -> None:
        """Take up a study where the ledger and the result files say that it stands.

        Args:
            spec: The study.
            folder: Its folder.
            ledger: Its database.
            listeners: Who is told what happens.
            is_reader: Whether this one only looks, while another process may run the study.
        """
        self._spec = spec
        self._folder = folder
        self._ledger = ledger
        self._listeners = tuple(listeners)
        self._phases: dict[tuple[str, PhaseName], _Phase] = {}
        for arm in spec.arms:
            self._phases[arm.name, "search"] = self._read(arm, "search")
            self._phases[arm.name, "final"] = self._read(arm, "final")
        self._groups = {name: self._read_group(name) for name in spec.groups}
        if not is_reader:
            for arm in spec.arms:
                self._take_over(arm)
            self._settle()

    def next(self) -> Next:
        """Give the next trial to train, or say why there is none."""
        if self._is_full():
            return Wait()
        entry = self._orphan() or self._search_trial() or self._final_trial()
        if entry is not None:
            return self._assign(entry)
        running = any(phase.is_running for phase in self._phases.values())
        return Wait() if running else Done()

    def report(self, key: TrialKey, report: Report) -> None:
        """Store an evaluation; one that is known, late or repeated changes nothing."""
        phase = self._phases[key.arm, key.phase]
        known = phase.reports.setdefault(key.number, {})
        if report.epoch in known or phase.entries[key.number].state != "RUNNING":
            return
        stored = StoredReport(
            epoch=report.epoch, time_ms=int(time.time() * 1000), metrics=dict(report.metrics)
        )
        append_report(self._folder.reports(key), stored)
        known[report.epoch] = stored
        self._tell(key, stored)
        for listener in self._listeners:
            listener.reported(key, stored)

    def finish(self, key: TrialKey) -> None:
        """End a trial: complete if its last epoch was reported, else stopped by a scheduler."""
        if self._entry(key).state != "RUNNING":
            return
        reports = self._phases[key.arm, key.phase].reports.get(key.number, {})
        last = reports.get(self._spec.arm(key.arm).training.epochs)
        if last is None:
            self._ledger.prune(key)
        else:
            self._ledger.complete(key, mean(last.metrics[self._spec.metric]))
        self._end(key)

    def fail(self, key: TrialKey, reason: str) -> None:
        """End a trial that can have no result."""
        if self._entry(key).state == "RUNNING":
            self._ledger.fail(key, reason)
            self._end(key)

    def has_work(self) -> bool:
        """Tell whether any trial is still to be trained; asks for none."""
        if any(phase.is_running for phase in self._phases.values()):
            return True
        return any(self._is_search_open(arm) or self._open_points(arm) for arm in self._spec.arms)

    def best(self, arm: Arm) -> Mapping[str, ParamValue] | None:
        """Give the chosen configuration, or None while the search goes on or if it found none."""
        if not arm.space.dimensions:
            return {}
        search = self._groups[arm.group] if arm.group else self._phases[arm.name, "search"]
        if search.is_running or len(search.entries) < arm.search_budget:
            return None
        return best_params(search.entries.values(), maximise=self._spec.direction == "maximise")

    def entries(self) -> Iterator[Entry]:
        """Give all trials, by arm, phase and number."""
        for phase in self._phases.values():
            yield from phase.entries.values()

    def reports_of(self, key: TrialKey) -> tuple[StoredReport, ...]:
        """Give a trial's stored evaluations by epoch."""
        known = self._phases[key.arm, key.phase].reports.get(key.number, {})
        return tuple(known[epoch] for epoch in sorted(known))

    def config(self, entry: Entry) -> TrialConfig:
        """Give the configuration of a trial."""
        arm = self._spec.arm(entry.key.arm)
        return trial_config(self._spec, arm, entry)

    def _read(self, arm: Arm, name: PhaseName) -> _Phase:
        entries = {entry.key.number: entry for entry in self._ledger.entries(arm.name, name)}
        reports = {
            number: {r.epoch: r for r in read_reports(self._folder.reports(entry.key))}
            for number, entry in entries.items()
        }
        orphans = [number for number, entry in entries.items() if entry.state == "RUNNING"]
        return _Phase(entries=entries, reports=reports, orphans=orphans)

    def _read_group(self, name: str) -> GroupSearch:
        members = self._spec.groups[name]
        group = GroupSearch(
            name=name,
            members=members,
            baselines=tuple(baseline_of(arm, self._spec.arms) for arm in members),
            metric=self._spec.metric,
            ledger=self._ledger,
        )
        group.read()
        return group

    def _settle(self) -> None:
        for group in self._groups.values():
            group.settle(self._search_trial_of)

    def _search_trial_of(self, arm: str, number: int) -> MemberTrial | None:
        entry = self._phases[arm, "search"].entries.get(number)
        if entry is None:
            return None
        return MemberTrial(entry=entry, reports=self.reports_of(entry.key))

    def _take_over(self, arm: Arm) -> None:
        # What a driver stored and did not live to tell the ledger: reports, and ends of trials.
        for name in ("search", "final"):
            phase = self._phases[arm.name, name]
            for number in list(phase.orphans):
                key = TrialKey(arm=arm.name, phase=name, number=number)
                for report in self.reports_of(key):
                    self._tell(key, report)
                if arm.training.epochs in phase.reports.get(number, {}):
                    phase.orphans.remove(number)
                    self.finish(key)

    def _tell(self, key: TrialKey, report: StoredReport) -> None:
        if self._spec.metric in report.metrics:
            self._ledger.report(key, report.epoch, mean(report.metrics[self._spec.metric]))

    def _is_full(self) -> bool:
        limit = self._spec.resources.max_concurrent
        return limit is not None and limit <= sum(len(p.assigned) for p in self._phases.values())

    def _orphan(self) -> Entry | None:
        for phase in self._phases.values():
            if phase.orphans:
                return phase.entries[phase.orphans.pop(0)]
        return None

    def _search_trial(self) -> Entry | None:
        # The arm that is furthest behind is asked first, so that all searches end together.
        waiting = [
            (len(self._phases[arm.name, "search"].entries) / arm.search_budget, i, arm)
            for i, arm in enumerate(self._spec.arms)
            if self._is_search_open(arm)
        ]
        if not waiting:
            return None
        _, _, arm = min(waiting)
        settings = SamplerSettings(
            name=arm.search.sampler,
            seed=derive_seed(self._spec.seed, "sampler", arm.group or arm.name),
            startup_trials=arm.search.startup_trials,
        )
        if arm.group is not None:
            number = len(self._phases[arm.name, "search"].entries)
            params = self._groups[arm.group].params(number, settings)
            return self._ledger.ask_point(arm.name, params, arm.space, "search")
        if not arm.space.dimensions:
            return self._ledger.ask_point(arm.name, {}, arm.space, "search")
        return self._ledger.ask(arm.name, arm.space, settings)

    def _final_trial(self) -> Entry | None:
        for arm in self._spec.arms:
            for params in self._open_points(arm):
                return self._ledger.ask_point(arm.name, params, arm.space)
        return None

    def _is_search_open(self, arm: Arm) -> bool:
        return len(self._phases[arm.name, "search"].entries) < arm.search_budget

    def _open_points(self, arm: Arm) -> list[dict[str, ParamValue]]:
        best = self.best(arm)
        if best is None:
            return []
        asked = [dict(e.params) for e in self._phases[arm.name, "final"].entries.values()]
        points = (*arm.final_points(best), *self._transferred(arm))
        return [params for params in distinct(points) if params not in asked]

    def _transferred(self, arm: Arm) -> list[Mapping[str, ParamValue]]:
        """Give what other arms of the method chose, as far as it is legal here."""
        found = [self.best(other) for other in self._spec.transfer_sources(arm)]
        return [params for params in found if params is not None and not arm.objection(params)]

    def _assign(self, entry: Entry) -> Assignment:
        phase = self._phases[entry.key.arm, entry.key.phase]
        phase.entries[entry.key.number] = entry
        phase.assigned.add(entry.key.number)
        config = self.config(entry)
        for listener in self._listeners:
            listener.began(entry, config)
        return Assignment(key=entry.key, config=config, folder=self._folder.trial(entry.key))

    def _end(self, key: TrialKey) -> None:
        phase = self._phases[key.arm, key.phase]
        phase.assigned.discard(key.number)
        phase.entries[key.number] = self._ledger.entry(key)
        for file in self._folder.trial(key).glob("epoch-*.pt"):
            file.unlink()
        if key.phase == "search":
            self._settle()
        for listener in self._listeners:
            listener.ended(phase.entries[key.number], self.reports_of(key))

    def _entry(self, key: TrialKey) -> Entry:
        return self._phases[key.arm, key.phase].entries[key.number]


def trial_config(spec: StudySpec, arm: Arm, entry: Entry) -> TrialConfig:
    """Make the configuration of a trial of the ledger."""
    is_final = entry.key.phase == "final"
    count = arm.replicas.final if is_final else arm.replicas.search
    seeds = replica_seeds(spec.seed, entry.key.phase, count)
    return arm.trial_config(entry.params, seeds, is_final=is_final)


def best_params(entries: Iterable[Entry], *, maximise: bool) -> Mapping[str, ParamValue] | None:
    """Give the point of the best complete trial, the earliest of equals; None if there is none."""
    sign = 1 if maximise else -1
    complete = [e for e in entries if e.state == "COMPLETE" and e.value is not None]
    if not complete:
        return None
    return max(complete, key=lambda e: (sign * (e.value or 0.0), -e.key.number)).params
