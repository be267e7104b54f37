"""The trials of a study as its database and its result files hold them, compared both ways."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from study.records.errors import StoreError
from study.records.trial_table import PHASES, PhaseName
from study.storage.layout import StudyFolder, TrialKey
from study.storage.trial_files import TrialFiles, TrialIdentity, read_trial_files
from study.storage.trial_store import TrialReader, TrialRecord

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTrial:
    """One trial: its row in the database, None if there is none, and its files."""

    record: TrialRecord | None
    files: TrialFiles

    def damage(self) -> tuple[str, ...]:
        """Return what is wrong with it, in words.

        A row may be behind the files, which are written first: of a process that was killed, or
        one that runs. It is never ahead of them.
        """
        if self.files.damage:
            return self.files.damage
        if self.record is None:
            return ("has files, but no row in the Optuna database",)
        return tuple(_differences(self.record, self.files))


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyTrials:
    """All trials of a study by arm and phase, and by number.

    Attributes:
        trials: The trials.
        points: The points of arms over several datasets, by name and number.
        damage: Where database and result files are damaged, or contradict each other.
    """

    trials: Mapping[tuple[str, PhaseName], Mapping[int, StoredTrial]]
    points: Mapping[str, Mapping[int, TrialRecord]]
    damage: tuple[str, ...]


def read_trials(
    folder: StudyFolder,
    store: TrialReader,
    arms: Iterable[str],
    groups: Mapping[str, Iterable[str]],
) -> StudyTrials:
    """Read all trials of a study, which may be running.

    Args:
        folder: The study's folder.
        store: Its trial store.
        arms: Names of its arms.
        groups: Name of each arm over several datasets to the names of its members.
    """
    # A row is created before its folder and ends after its files, so that this order of reading
    # shows no difference where none is.
    keys = folder.keys()
    names = tuple(arms)
    points = {
        name: {record.key.number: record for record in store.records(name, "search")}
        for name in groups
    }
    trials = {
        (arm, phase): _read_phase(folder, store, arm, phase, keys)
        for arm in names
        for phase in PHASES
    }
    damage = [
        f"{key}: study.yaml has no such arm, so move its folder away"
        for key in keys
        if (key.arm, key.phase) not in trials
    ]
    for (arm, phase), stored in trials.items():
        for number, trial in stored.items():
            key = TrialKey(arm=arm, phase=phase, number=number)
            damage += [f"{key}: {what}" for what in trial.damage()]
    for name, members in groups.items():
        numbers = {number for member in members for number in trials[member, "search"]}
        lost = sorted(numbers - points[name].keys())
        damage += [f"{name}/search/{number}: has no row in the Optuna database" for number in lost]
    return StudyTrials(trials=trials, points=points, damage=tuple(damage))


def require_undamaged(folder: StudyFolder, trials: StudyTrials) -> None:
    """Raise a StoreError that names the trials whose database and files do not agree."""
    if not trials.damage:
        return
    name, found = folder.path.name, trials.damage
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    remedy = (
        f"'repair {name}' restores the database from the files and trains again what is missing"
    )
    if not (folder.spec.exists() or folder.keys()):
        remedy = f"put the folder back, or remove what is left by 'delete {name}'"
    raise StoreError(
        f"the Optuna database and the result files of {folder.path} must agree, but: "
        f"{'; '.join(found[:_SHOWN])}{more}. If this is not the database that the study was run "
        f"with, name that one by --database or CHALLENGER_DATABASE, or put it back. Otherwise "
        f"{remedy}."
    )


def _read_phase(
    folder: StudyFolder,
    store: TrialReader,
    arm: str,
    phase: PhaseName,
    keys: Iterable[TrialKey],
) -> dict[int, StoredTrial]:
    records = {record.key.number: record for record in store.records(arm, phase)}
    found = {key.number for key in keys if (key.arm, key.phase) == (arm, phase)}
    stored = {}
    for number in sorted(records.keys() | found):
        key = TrialKey(arm=arm, phase=phase, number=number)
        trial = StoredTrial(record=records.get(number), files=read_trial_files(folder, key))
        if trial.record is not None or trial.files.is_begun:
            stored[number] = trial
    return stored


def _differences(record: TrialRecord, files: TrialFiles) -> Iterator[str]:
    identity, outcome = files.identity, files.outcome
    is_finished = record.state != "RUNNING"
    if identity is None:
        if is_finished or record.last_epoch is not None:
            yield f"is {record.state} in the Optuna database, but its files are gone"
        return
    if not is_same(record, identity):
        yield (
            f"was created at {_point(record.params)} in the Optuna database, but its files are of "
            f"a trial at {_point(identity.params)}: they are of different runs"
            if dict(record.params) != dict(identity.params)
            else "its row in the Optuna database and its files are of different runs"
        )
        return
    if is_finished and outcome is None:
        yield f"is {record.state} in the Optuna database, but has no end.json"
    elif outcome is not None and is_finished:
        if (record.state, record.value) != (outcome.state, outcome.value):
            yield (
                f"is {record.state} with {record.value} in the Optuna database, but "
                f"{outcome.state} with {outcome.value} in its files"
            )
    elif record.last_epoch is not None and all(
        report.epoch != record.last_epoch for report in files.reports
    ):
        yield f"its report of epoch {record.last_epoch} is gone"


def is_same(record: TrialRecord, identity: TrialIdentity) -> bool:
    """Check whether a row and a trial's files are of the same trial."""
    return (
        dict(record.params) == dict(identity.params)
        and record.started_ms == identity.started_ms
        and record.replicas in (None, len(identity.seeds))
    )


def _point(params: Mapping[str, object]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in params.items()) or "no point"
