"""The repair of a study: what is whole on one side restores the other, the rest is trained again.

A trial's files are its results, so that rows follow whole files. A trial whose files are damaged
or gone runs again from its start at the same point, under its number and seeds. What a trial is
stands on disk before a row is deleted: a repair that is interrupted is repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from study.config.arm import Arm
from study.config.run_options import RunOptions
from study.config.study_spec import StudySpec, parse
from study.config.sweeps import read_asked_sweeps, with_sweeps
from study.engine.planner import EnqueueTrial, SampleTrial, create_trial, search_settings
from study.records.errors import StoreError
from study.records.trial_table import PHASES, PhaseName
from study.results.build import read_study_text
from study.results.state import (
    StudyState,
    finish_record,
    first_replica,
    searched_groups,
    trial_identity,
)
from study.results.stored_trials import StoredTrial, is_same
from study.storage.json_record import DamagedFileError, write_record
from study.storage.layout import StudyFolder, TrialKey
from study.storage.lease import lease
from study.storage.provenance import read_provenance
from study.storage.trial_files import (
    TrialFiles,
    TrialIdentity,
    begin_trial,
    clear_trial,
    read_trial_files,
)
from study.storage.trial_store import TrialRecord, TrialStore
from study.tracking.outbox import Outbox
from trainables.errors import TrainableError
from trainables.report import mean


def repair_study(
    name: str, options: RunOptions, notify: Callable[[str], None], on_lost: Callable[[str], None]
) -> str:
    """Make the database and the result files of a study agree, and return its study file.

    What is to be trained again is trained by the next run.

    Args:
        name: Name of the study.
        options: Options of the command line.
        notify: Called with a line about each thing that was repaired.
        on_lost: Called from a thread if another machine took the study over.

    Raises:
        SpecError: If there is no study of that name.
        StoreError: If the study file was altered, or the database cannot be opened.
        BusyError: If a process runs the study.
    """
    folder = options.storage.study(name)
    try:
        text = read_study_text(folder)
    except DamagedFileError as error:
        # The next run writes the manifest.
        text = folder.read_spec()
        notify(f"repaired: {error}")
    spec = parse(text, str(folder.spec), folder.plugins)
    with lease(folder, options.database_url, on_lost, notify):
        _remove_damaged_records(folder, notify)
        spec = with_sweeps(spec, folder)
        maximize = spec.direction == "maximize"
        store = TrialStore(options.database_url, spec.name, maximize=maximize, metric=spec.metric)
        state = StudyState(spec, folder, store)
        if not state.trials.damage:
            notify(f"study {name!r}: the database and the result files agree.")
            return text
        for damage in state.trials.damage:
            notify(f"damaged: {damage}")
        _Repair(spec=spec, folder=folder, store=store, state=state, notify=notify).run()
    return text


def _remove_damaged_records(folder: StudyFolder, notify: Callable[[str], None]) -> None:
    """Remove the records of a study that the next run writes, or that can be given again."""
    for path, read in (
        (folder.provenance, lambda: read_provenance(folder.provenance)),
        (folder.sweeps, lambda: read_asked_sweeps(folder)),
    ):
        try:
            read()
        except DamagedFileError as error:
            path.unlink()
            notify(f"removed: {error}")
    outbox = Outbox(path=folder.outbox)
    try:
        outbox.pending()
    except StoreError as error:
        # The next run fills a new one; what MLflow has already is not sent twice.
        for path in folder.path.glob(f"{folder.outbox.name}*"):
            path.unlink()
        notify(f"removed: {error}")
    finally:
        outbox.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repair:
    """The repair of a study whose lease is held."""

    spec: StudySpec
    folder: StudyFolder
    store: TrialStore
    state: StudyState
    notify: Callable[[str], None]
    # What each trial is and what is whole of it.
    targets: dict[TrialKey, TrialFiles] = field(default_factory=dict)

    def run(self) -> None:
        """Repair the files of all trials, and then the rows of the arms that need it."""
        for (name, phase), trials in self.state.trials.trials.items():
            for number, trial in trials.items():
                key = TrialKey(arm=name, phase=phase, number=number)
                if (target := self._target(key, trial)) is not None:
                    self.targets[key] = target
        for key, target in self.targets.items():
            self._repair_files(key, target)
        for group in searched_groups(self.spec):
            members = self.spec.groups[group]
            lost = [arm for arm in members if self._must_restore(arm, "search")]
            numbers = {key.number for arm in members for key in self._keys(arm, "search")}
            if lost or numbers - self.state.groups[group].records.keys():
                self._restore_points(group, members)
        for arm in self.spec.arms:
            for phase in PHASES:
                if self._must_restore(arm, phase):
                    self._restore_rows(arm, phase)

    def _target(self, key: TrialKey, trial: StoredTrial) -> TrialFiles | None:
        """Return what a trial is with what is whole of it; None if both sides have lost it."""
        if not trial.damage() and trial.files.identity is not None:
            return trial.files
        identities = [trial.files.identity]
        if trial.record is not None:
            identities.append(self.state.identity(trial.record))
        known = [one for one in identities if one is not None and self._is_ours(one)]
        for identity in known:
            files = read_trial_files(self.folder, key, identity)
            if _has_damaged_end(files) and self._is_trained(files):
                self.folder.outcome(key).unlink(missing_ok=True)
                files = read_trial_files(self.folder, key, identity)
            if not files.damage and (files.outcome or self._is_trained(files)):
                return files
        return TrialFiles(identity=known[0]) if known else None

    def _is_ours(self, identity: TrialIdentity) -> bool:
        """Check whether the study file gives a trial of that point the same configuration."""
        try:
            return trial_identity(self.spec, self._record(identity)) == identity
        except TrainableError:
            return False

    def _is_trained(self, files: TrialFiles) -> bool:
        epochs = files.identity.epochs if files.identity else None
        return any(report.epoch == epochs for report in files.reports)

    def _repair_files(self, key: TrialKey, target: TrialFiles) -> None:
        assert target.identity is not None
        before = self.state.trials.trials[key.arm, key.phase][key.number]
        if not before.damage() and before.files.identity is not None:
            return
        if not target.reports:
            if self.folder.trial(key).exists():
                clear_trial(self.folder, key)
            self.notify(f"{key} is trained again.")
        elif before.files.identity != target.identity:
            write_record(self.folder.identity(key), target.identity)
            self.notify(f"restored: {self.folder.identity(key)}.")
        begin_trial(self.folder, target.identity)

    def _keys(self, arm: Arm, phase: PhaseName) -> list[TrialKey]:
        return [key for key in self.targets if (key.arm, key.phase) == (arm.name, phase)]

    def _must_restore(self, arm: Arm, phase: PhaseName) -> bool:
        """Check whether a row is missing, or is not what the files hold."""
        trials = self.state.trials.trials[arm.name, phase]
        return any(
            trial.record is None
            or (target := self.targets.get(trial.record.key)) is None
            or target.identity is None
            or not is_same(trial.record, target.identity)
            or StoredTrial(record=trial.record, files=target).damage()
            for trial in trials.values()
        ) or len(trials) <= max(trials, default=-1)

    def _restore_rows(self, arm: Arm, phase: PhaseName) -> None:
        """Write the rows of an arm and phase again, in order; a lost search trial gets a point.

        A final trial that both sides have lost, and those after it, are trained again under new
        numbers: their points are still to be trained.
        """
        self.store.clear(arm.name, phase)
        keys = self._keys(arm, phase)
        for number in range(max((key.number for key in keys), default=-1) + 1):
            key = TrialKey(arm=arm.name, phase=phase, number=number)
            if key in self.targets:
                self._restore_row(arm, self.targets[key])
            elif phase == "search":
                create_trial(self.store, self._request(arm, number))
                self.notify(f"{key} is trained again, at a new point.")
            else:
                for later in (one for one in keys if one.number > number):
                    clear_trial(self.folder, later)
                break
        self.notify(f"restored: the rows of {arm.name}/{phase} in the Optuna database.")

    def _restore_row(self, arm: Arm, target: TrialFiles) -> None:
        assert target.identity is not None
        record = self._record(target.identity)
        values = {
            report.epoch: mean(report.metrics[self.spec.metric])
            for report in target.reports
            if self.spec.metric in report.metrics
        }
        if target.outcome is not None:
            record = finish_record(record, target.outcome)
        is_sampled = record.key.phase == "search" and arm.group is None
        self.store.restore(record, values, arm.space, is_sampled=is_sampled)

    def _request(self, arm: Arm, number: int) -> SampleTrial | EnqueueTrial:
        if not arm.space.dimensions:
            return EnqueueTrial(
                arm=arm, phase="search", number=number, params={}, replicas=arm.replicas.search
            )
        settings = search_settings(arm, self.spec.seed)
        point = self.state.groups[arm.group].records.get(number) if arm.group else None
        return SampleTrial(arm=arm, number=number, settings=settings, group_point=point)

    def _restore_points(self, name: str, members: tuple[Arm, ...]) -> None:
        """Write the points of an arm over several datasets again; the next run ends them."""
        known = {record.key.number: record for record in self._points(name, members)}
        space, settings = members[0].space, search_settings(members[0], self.spec.seed)
        self.store.clear(name, "search")
        records = self.state.groups[name].records
        records.clear()
        for number in range(max(known, default=-1) + 1):
            if number in known:
                records[number] = known[number]
                self.store.restore(known[number], {}, space, is_sampled=True)
            else:
                records[number] = self.store.ask(name, number, space, settings)
        self.notify(f"restored: the rows of {name}/search in the Optuna database.")

    def _points(self, name: str, members: tuple[Arm, ...]) -> Iterator[TrialRecord]:
        for record in self.state.groups[name].records.values():
            yield replace(record, state="RUNNING", value=None, reason=None, finished_ms=None)
        for arm in members:
            for key in self._keys(arm, "search"):
                identity = self.targets[key].identity
                assert identity is not None
                point = TrialKey(arm=name, phase="search", number=key.number)
                yield replace(self._record(identity), key=point, replicas=None)

    def _record(self, identity: TrialIdentity) -> TrialRecord:
        """Return the row of a trial that runs."""
        return TrialRecord(
            key=identity.key,
            state="RUNNING",
            params=dict(identity.params),
            value=None,
            reason=None,
            started_ms=identity.started_ms,
            finished_ms=None,
            replicas=len(identity.seeds),
            first_replica=first_replica(self.spec, identity),
        )


def _has_damaged_end(files: TrialFiles) -> bool:
    return any(damage.startswith("end.json") for damage in files.damage)
