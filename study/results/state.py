"""The state of a study's trials: read from trial store and report logs, updated while it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from search_spaces import ParamValue, unique
from study.config.arm import Arm, replica_seeds
from study.config.groups import baseline_of
from study.config.schema import Confirm
from study.config.study_spec import StudySpec
from study.records.errors import StoreError
from study.records.trial_table import OpenTrials, PhaseName, StoredReport
from study.results.confirmation import Race, candidates
from study.results.multi_dataset import GroupSearch, MemberTrial
from study.results.stored_trials import StoredTrial, read_trials
from study.storage.layout import StudyFolder, TrialKey
from study.storage.report_log import TrialOutcome
from study.storage.trial_files import TrialIdentity
from study.storage.trial_store import TrialReader, TrialRecord
from trainables.config import TrialConfig

# As many as a study file may ask for.
_MOST_SEEDS = 1000


@dataclass(slots=True, kw_only=True)
class PhaseState:
    """State of one arm's search or final trials by number; mutable as trials proceed."""

    records: dict[int, TrialRecord]
    # Their evaluations by number and epoch.
    reports: dict[int, dict[int, StoredReport]]
    # Those that were running when the state was read, and are not assigned yet.
    interrupted: list[int]
    # Ends that the files hold, by number.
    outcomes: dict[int, TrialOutcome] = field(default_factory=dict)
    # Those that were assigned and have not ended.
    assigned: set[int] = field(default_factory=set)

    @property
    def is_running(self) -> bool:
        """Whether any trial has not ended."""
        # Few of ten thousand trials run, and executors call this in every iteration.
        return bool(self.assigned or self.interrupted)


class StudyState:
    """State of all trials of a study; mutable, written by the coordinator alone."""

    def __init__(self, spec: StudySpec, folder: StudyFolder, store: TrialReader) -> None:
        """Read the state from trial store and result files.

        What is damaged is in ``trials.damage``; see :func:`require_undamaged`.
        """
        self.spec = spec
        self.trials = read_trials(
            folder,
            store,
            [arm.name for arm in spec.arms],
            searched_groups(spec),
        )
        self._phases = {of: _phase_state(stored) for of, stored in self.trials.trials.items()}
        self.groups = {name: self._load_group(name) for name in spec.groups}
        self._best: dict[str, Mapping[str, ParamValue] | None] = {}
        self._identities: dict[TrialKey, TrialIdentity] = {}

    def phase(self, arm: str, phase: PhaseName) -> PhaseState:
        """Return the state of one arm's search or final trials."""
        return self._phases[arm, phase]

    @property
    def phases(self) -> Iterable[PhaseState]:
        """Searches and final trials of all arms."""
        return self._phases.values()

    def records(self) -> Iterator[TrialRecord]:
        """Yield all trials by arm, phase and number."""
        for phase in self._phases.values():
            yield from phase.records.values()

    def record(self, key: TrialKey) -> TrialRecord:
        """Return one trial."""
        return self._phases[key.arm, key.phase].records[key.number]

    def stored(self, key: TrialKey) -> StoredTrial:
        """Return one trial as it was read."""
        return self.trials.trials[key.arm, key.phase][key.number]

    def reports_by_epoch(self, key: TrialKey) -> dict[int, StoredReport]:
        """Return the mutable mapping of a trial's evaluations by epoch."""
        return self._phases[key.arm, key.phase].reports.setdefault(key.number, {})

    def reports_of(self, key: TrialKey) -> tuple[StoredReport, ...]:
        """Return a trial's evaluations by increasing epoch."""
        known = self._phases[key.arm, key.phase].reports.get(key.number, {})
        return tuple(known[epoch] for epoch in sorted(known))

    def identity(self, record: TrialRecord) -> TrialIdentity:
        """Return what a trial is, as its folder says."""
        key = record.key
        if key not in self._identities:
            self._identities[key] = trial_identity(self.spec, record)
        return self._identities[key]

    def config(self, record: TrialRecord) -> TrialConfig:
        """Return the configuration of a trial."""
        return trial_config(self.spec, self.spec.arm(record.key.arm), record)

    def best(self, arm: Arm) -> Mapping[str, ParamValue] | None:
        """Return the chosen configuration, or None if the search is unfinished or found none."""
        if arm.like is not None:
            source = self.best(self.spec.arm(arm.like))
            return source and {k: v for k, v in source.items() if k in arm.space.dimensions}
        if arm.passes_like is not None:
            other = self.spec.arm(arm.passes_like)
            source = self.best(other)
            if source is None:
                return None
            return arm.with_passes_of(other.trial_config(source, (0,), is_final=True).method)
        if not arm.space.dimensions:
            return {}
        search = self.groups[arm.group] if arm.group else self._phases[arm.name, "search"]
        if search.is_running or len(search.records) < arm.search_budget:
            return None
        if arm.name not in self._best:
            maximize = self.spec.direction == "maximize"
            best = best_params(search.records.values(), maximize=maximize)
            if arm.search.confirm is not None and best is not None:
                race = self.race(arm, arm.search.confirm)
                if race.pending:
                    return None
                best = race.chosen
            # A finished search does not change, and this is called often.
            self._best[arm.name] = best
        return self._best[arm.name]

    def race(self, arm: Arm, confirm: Confirm) -> Race:
        """Return the race among the best trials of an arm's finished search."""
        maximize = self.spec.direction == "maximize"
        search = self._phases[arm.name, "search"].records.values()
        points = candidates(search, confirm.top, maximize=maximize)
        results: dict[int, dict[int, tuple[float, ...] | None]] = {}
        for record in self._phases[arm.name, "confirm"].records.values():
            if record.state != "RUNNING" and record.params in points:
                last = self.reports_of(record.key)[-1:] if record.state == "COMPLETE" else ()
                values = last[0].metrics[self.spec.metric] if last else None
                end = record.first_replica + (record.replicas or 0)
                of_round = results.setdefault(end, {})
                of_round[points.index(record.params)] = values
        return Race(confirm, points, results, maximize=maximize)

    def pending_points(self, arm: Arm) -> list[dict[str, ParamValue]]:
        """Return the points that an arm's final trials still need; none before its choice."""
        best = self.best(arm)
        if best is None:
            return []
        # If the study file asks for more replicas than before, points are trained again with all.
        wanted = arm.replicas.final
        finals = self.phase(arm.name, "final").records.values()
        known = [dict(r.params) for r in finals if (r.replicas or wanted) >= wanted]
        chosen = [self.best(other) for other in self.spec.transfer_sources(arm)]
        transferred = [p for p in chosen if p is not None and not arm.rejection_reason(p)]
        points = unique((*arm.final_points(best), *transferred))
        return [params for params in points if params not in known]

    def open_trials(self) -> Iterator[OpenTrials]:
        """Yield what is still to be trained, by arm and phase; nothing once all have ended.

        An arm whose search has failed chooses nothing, and has no final trials.
        """
        for arm in self.spec.arms:
            n_final = len(self.phase(arm.name, "final").records)
            n_confirm = len(self.phase(arm.name, "confirm").records)
            n_pending = len(self.pending_points(arm))
            totals: dict[PhaseName, int] = {
                "search": arm.search_budget,
                "confirm": n_confirm,
                "final": max(n_final, self.spec.final_budget(arm))
                if self._will_choose(arm)
                else n_final + n_pending,
            }
            for phase, total in totals.items():
                records = self.phase(arm.name, phase).records.values()
                ended = sum(record.state != "RUNNING" for record in records)
                if ended < total:
                    yield OpenTrials(arm=arm.name, phase=phase, ended=ended, total=total)

    def _will_choose(self, arm: Arm) -> bool:
        """Return whether the search or race that gives an arm its choice has not ended."""
        source = arm.like or arm.passes_like
        if source is not None:
            return self._will_choose(self.spec.arm(source))
        if self.best(arm) is not None or not arm.is_searched:
            return False
        search = self.phase(arm.name, "search")
        ended = [record for record in search.records.values() if record.state != "RUNNING"]
        if len(ended) < arm.search_budget:
            return True
        return arm.search.confirm is not None and any(r.state == "COMPLETE" for r in ended)

    def search_trial(self, arm: str, number: int) -> MemberTrial | None:
        """Return a search trial of an arm for its group, or None if there is none."""
        record = self._phases[arm, "search"].records.get(number)
        if record is None:
            return None
        return MemberTrial(record=record, reports=self.reports_of(record.key))

    def _load_group(self, name: str) -> GroupSearch:
        members = self.spec.groups[name]
        return GroupSearch(
            name=name,
            members=members,
            baselines=tuple(baseline_of(arm, self.spec.arms) for arm in members),
            metric=self.spec.metric,
            records=dict(self.trials.points.get(name, {})),
        )


def _phase_state(stored: Mapping[int, StoredTrial]) -> PhaseState:
    records = {n: trial.record for n, trial in stored.items() if trial.record is not None}
    return PhaseState(
        records=records,
        reports={n: {r.epoch: r for r in stored[n].files.reports} for n in records},
        interrupted=[number for number, record in records.items() if record.state == "RUNNING"],
        outcomes={
            n: trial.files.outcome
            for n, trial in stored.items()
            if trial.files.outcome is not None
        },
    )


def searched_groups(spec: StudySpec) -> Mapping[str, tuple[str, ...]]:
    """Return the arms over several datasets that search, with the names of their members."""
    return {
        name: tuple(arm.name for arm in members)
        for name, members in spec.groups.items()
        if members[0].is_searched
    }


def finish_record(record: TrialRecord, outcome: TrialOutcome) -> TrialRecord:
    """Return the record of a trial with its outcome."""
    return replace(
        record,
        state=outcome.state,
        value=outcome.value,
        reason=outcome.reason,
        finished_ms=outcome.finished_ms,
    )


def trial_config(spec: StudySpec, arm: Arm, record: TrialRecord) -> TrialConfig:
    """Return the configuration of a trial."""
    is_final = record.key.phase == "final"
    return arm.trial_config(record.params, trial_seeds(spec, arm, record), is_final=is_final)


def trial_identity(spec: StudySpec, record: TrialRecord) -> TrialIdentity:
    """Return what a trial is; ConfigError if its point is illegal."""
    key = record.key
    config = trial_config(spec, spec.arm(key.arm), record)
    return TrialIdentity(
        arm=key.arm,
        phase=key.phase,
        number=key.number,
        params=record.params,
        seeds=config.seeds,
        epochs=config.training.epochs,
        config=config.hash(),
        started_ms=record.started_ms,
    )


def trial_seeds(spec: StudySpec, arm: Arm, record: TrialRecord) -> tuple[int, ...]:
    """Return the seeds of a trial's replicas, as many as it was created with."""
    count = record.replicas or arm.replicas.of(record.key.phase)
    first = record.first_replica
    return replica_seeds(spec.seed, record.key.phase, first + count)[first:]


def first_replica(spec: StudySpec, identity: TrialIdentity) -> int:
    """Return which of its phase's seeds a trial's first one is; 0 if it is none of them."""
    known = replica_seeds(spec.seed, identity.phase, _MOST_SEEDS)
    return known.index(identity.seeds[0]) if identity.seeds[0] in known else 0


def require_same_seeds(state: StudyState) -> None:
    """Raise a StoreError for the first trial that was trained with other seeds than the file's."""
    for record in state.records():
        identity = state.stored(record.key).files.identity
        seeds = trial_seeds(state.spec, state.spec.arm(record.key.arm), record)
        if identity is not None and identity.seeds != seeds:
            raise StoreError(
                f"trial {record.key} was trained with seeds {list(identity.seeds)}, but "
                f"study.yaml now gives {list(seeds)}; put back the file that the study was "
                "run with."
            )


def best_params(
    records: Iterable[TrialRecord], *, maximize: bool
) -> Mapping[str, ParamValue] | None:
    """Return the point of the best complete trial, the earliest of equals, or None."""
    sign = 1 if maximize else -1
    complete = [r for r in records if r.state == "COMPLETE" and r.value is not None]
    if not complete:
        return None
    return max(complete, key=lambda r: (sign * (r.value or 0.0), -r.key.number)).params
