"""The trial store: all trials of a study in the Optuna database.

Each arm has an Optuna study per phase, ``<study>/<arm>/search`` and ``<study>/<arm>/final``. A
trial is known by its number there, whichever process trains it, so that a driver that starts
again needs only this database and the trials' folders.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import optuna
from optuna.exceptions import OptunaError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from search_spaces import Design, ParamValue, Space
from search_spaces.optuna_sampler import (
    DesignSampler,
    SamplerName,
    fixed_distributions,
    make_sampler,
    to_distribution,
)
from study.records.clock import now_ms
from study.records.errors import StoreError
from study.records.trial_table import PhaseName
from study.records.trial_table import TrialState as StateName
from study.storage.database import (
    DatabaseFile,
    has_tables,
    open_database,
    open_error,
    require_database_file,
)
from study.storage.layout import TrialKey
from study.storage.optuna_bulk import CachedStudy, open_tables
from study.storage.report_log import FinishedState, TrialOutcome

# What Optuna's dashboard reads of a study besides its trials.
_METRIC_NAMES: Final = "study:metric_names"
_NOTE_VERSION: Final = "dashboard:note_ver"
_NOTE: Final = "dashboard:note_str:0"
_NOTES: Final[Mapping[str, str]] = {
    "search": (
        "Search trials, by validation data alone. A sampler such as TPE chooses points by earlier "
        "results, so that importances of its trials describe where it looked, not the whole "
        "space: a search with `design: sobol` supports such claims, and the report makes them."
    ),
    "confirm": "The best search trials again, on fresh validation seeds; the choice is made here.",
    "final": "The chosen configuration and its sweeps, on fresh seeds; nothing is chosen here.",
}

# Optuna's own messages, one per trial, would interrupt the progress display.
logging.getLogger("optuna").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One trial in the trial store; times are in milliseconds since 1970.

    Attributes:
        params: Its point; empty for a method without dimensions.
        value: Objective after the last epoch, or None.
        reason: Why it failed, or None.
        replicas: How many replicas it trains; None if unknown.
        first_replica: Which of the phase's seeds its first replica has.
        last_epoch: The latest epoch whose objective is stored, or None.
    """

    key: TrialKey
    state: StateName
    params: Mapping[str, ParamValue]
    value: float | None
    reason: str | None
    started_ms: int
    finished_ms: int | None
    replicas: int | None = None
    first_replica: int = 0
    last_epoch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntermediateValue:
    """The objective of a running trial after an epoch, counted from 1."""

    key: TrialKey
    epoch: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerSettings:
    """A sampler that proposes points; a trial's draws depend on its seed and on its number."""

    name: SamplerName
    seed: int
    # Sampled at random before a model is fitted.
    startup_trials: int
    # With a lag, the point of trial n is drawn from the results of trials 0 to n - lag alone.
    lag: int | None = None

    def sampler(self, space: Space, number: int) -> optuna.samplers.BaseSampler:  # noqa: ARG002
        """Return the sampler of the trial of a number."""
        # A process that starts again continues with fresh numbers instead of its first ones.
        return make_sampler(self.name, (self.seed + number) % 2**32, self.startup_trials)


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignSettings:
    """A design whose points are proposed; a point depends on seed and trial number alone."""

    design: Design
    seed: int

    def sampler(self, space: Space, number: int) -> optuna.samplers.BaseSampler:  # noqa: ARG002
        """Return the sampler of the trial of a number."""
        return DesignSampler(self.design, space, self.seed)


SearchSettings: TypeAlias = SamplerSettings | DesignSettings


class TrialStore:
    """All trials of a study; every write is in the database when the call returns.

    Writes raise a StoreError if the database's file was deleted or replaced meanwhile.
    """

    def __init__(self, url: str, study: str, *, maximize: bool, metric: str | None = None) -> None:
        """Open a database; a missing one is created.

        Args:
            url: SQLAlchemy URL; SQLite gets write-ahead logging.
            study: Name of the study.
            maximize: Direction of the objective.
            metric: The objective, for Optuna's dashboard; None to leave it without a name.

        Raises:
            StoreError: If the database cannot be opened.
        """
        self._url = url
        self._name = study
        self._direction: Literal["maximize", "minimize"] = "maximize" if maximize else "minimize"
        self._metric = metric
        self._study_ids: dict[tuple[str, str], int] = {}
        self._cached_studies: dict[tuple[str, str], CachedStudy] = {}
        self._storage = open_database(url)
        self._tables = open_tables(self._storage)
        self._file = DatabaseFile.of(url)

    def ask(
        self,
        arm: str,
        number: int,
        space: Space,
        settings: SearchSettings,
        replicas: int | None = None,
    ) -> TrialRecord:
        """Create an arm's search trial of a number at the next point of its sampler or design.

        For the same number again the stored trial is returned: a database that became
        unavailable may have stored one without an answer.

        Args:
            arm: Name of the arm.
            number: The trial's number, one above the last one's.
            space: The search space.
            settings: The sampler or design.
            replicas: How many replicas the trial is to train.
        """
        key = TrialKey(arm=arm, phase="search", number=number)
        with self._cached(arm, "search") as cached:
            if (known := self._known(cached, key)) is not None:
                return known
            sampler = settings.sampler(space, number)
            lag = settings.lag if isinstance(settings, SamplerSettings) else None
            found = cached.sample(sampler, space, _start_attrs(replicas), lag)
            return self._add(cached, key, found)

    def enqueue(
        self,
        key: TrialKey,
        params: Mapping[str, ParamValue],
        space: Space,
        replicas: int | None = None,
        first_replica: int = 0,
    ) -> TrialRecord:
        """Create a trial at a given point of its arm's space; repeatable like :meth:`ask`."""
        with self._cached(key.arm, key.phase) as cached:
            if (known := self._known(cached, key)) is not None:
                return known
            within = fixed_distributions(params, space.dimensions)
            attrs = _start_attrs(replicas, first_replica)
            return self._add(cached, key, cached.enqueue(params, within, attrs))

    def report(self, reports: Sequence[IntermediateValue]) -> None:
        """Store intermediate objectives of running trials; an epoch's again changes nothing."""
        with ExitStack() as stack:
            arms = sorted({(report.key.arm, report.key.phase) for report in reports})
            known = {arm: stack.enter_context(self._cached(*arm)) for arm in arms}
            located = [(known[report.key.arm, report.key.phase], report) for report in reports]
            values = {
                (cached.trial_id(report.key.number), report.epoch): report.value
                for cached, report in located
            }
            self._tables.add_intermediate_values(values)
            for cached, report in located:
                cached.report(report.key.number, report.epoch, report.value)

    def tell(self, key: TrialKey, outcome: TrialOutcome) -> None:
        """Store the end of a trial; the first end is kept."""
        # If another process took the study over, its end is the first, and the cache is outdated.
        with suppress(UpdateFinishedTrialError), self._cached(key.arm, key.phase) as cached:
            trial = cached.trial(key.number)
            if trial is None or trial.state.is_finished():
                return
            state = _FINISHED_STATES[outcome.state]
            value = _last_value(trial) if state == TrialState.PRUNED else outcome.value
            attrs: dict[str, int | str] = {"finished_ms": outcome.finished_ms}
            if outcome.reason is not None:
                attrs["reason"] = outcome.reason
            self._tables.end_trial(cached.trial_id(key.number), state, value, attrs)
            cached.set_state(key.number, state, value)

    def records(self, arm: str, phase: PhaseName) -> list[TrialRecord]:
        """Return all trials of an arm and phase by number, and change nothing.

        Raises:
            StoreError: If the database cannot be read.
        """
        try:
            study_id = self._find_study(arm, phase)
            stored = [] if study_id is None else self._tables.read_trials(study_id)
            return [
                _trial_record(TrialKey(arm=arm, phase=phase, number=trial.number), trial)
                for trial in stored
                if not _is_foreign(trial)
            ]
        # Also what a damaged page holds in place of a JSON text.
        except (SQLAlchemyError, OptunaError, ValueError, KeyError, TypeError) as error:
            raise open_error(self._url, error) from None

    def restore(
        self,
        record: TrialRecord,
        values: Mapping[int, float],
        space: Space,
        *,
        is_sampled: bool,
    ) -> None:
        """Create a trial as it was, at the end of its arm and phase.

        Args:
            record: The trial; one that is not finished runs.
            values: Its objective by epoch.
            space: The space of its arm.
            is_sampled: Whether its point was sampled in that space, as :meth:`ask` does.
        """
        key = record.key
        if is_sampled:
            searched = {name: space.dimensions[name] for name in record.params}
            within = {name: to_distribution(axis) for name, axis in searched.items()}
        else:
            within = fixed_distributions(record.params, space.dimensions)
        attrs = _start_attrs(record.replicas, record.first_replica)
        attrs["started_ms"] = record.started_ms
        with self._cached(key.arm, key.phase) as cached:
            self._add(cached, key, cached.enqueue(record.params, within, attrs))
        self.report([IntermediateValue(key=key, epoch=e, value=v) for e, v in values.items()])
        if record.state != "RUNNING":
            outcome = TrialOutcome(
                state=record.state,
                value=record.value,
                reason=record.reason,
                finished_ms=record.finished_ms or record.started_ms,
            )
            self.tell(key, outcome)

    def clear(self, arm: str, phase: PhaseName) -> None:
        """Delete all trials of an arm and phase; without any, nothing is done."""
        self._delete(self._study_name(arm, phase))
        self._study_ids.pop((arm, phase), None)
        self._cached_studies.pop((arm, phase), None)

    def clear_all(self) -> int:
        """Delete all trials of the study and return how many arms and phases had some."""
        names = optuna.get_all_study_names(self._storage)
        own = [name for name in names if name.startswith(f"{self._name}/")]
        for name in own:
            self._delete(name)
        return len(own)

    def _delete(self, name: str) -> None:
        self._file.require_unchanged()
        with suppress(KeyError):
            optuna.delete_study(study_name=name, storage=self._storage)

    def _known(self, cached: CachedStudy, key: TrialKey) -> TrialRecord | None:
        trial = cached.trial(key.number)
        if trial is None:
            return None
        if _is_foreign(trial):
            raise StoreError(
                f"trial {key} in the Optuna database must be one of this program, but another "
                "one added it; begin the study under another name."
            )
        return _trial_record(key, trial)

    def _add(self, cached: CachedStudy, key: TrialKey, trial: FrozenTrial) -> TrialRecord:
        trial_id = self._tables.add_trial(self._study_id(key.arm, key.phase), trial)
        cached.set_trial_id(key.number, trial_id)
        return _trial_record(key, trial)

    @contextmanager
    def _cached(self, arm: str, phase: str) -> Iterator[CachedStudy]:
        """Yield the cache of a study for a write; it is discarded if the write fails."""
        self._file.require_unchanged()
        if (arm, phase) not in self._cached_studies:
            stored = self._stored(arm, phase)
            self._cached_studies[arm, phase] = CachedStudy(self._direction, stored)
        try:
            yield self._cached_studies[arm, phase]
        except BaseException:
            self._cached_studies.pop((arm, phase), None)
            raise

    def _stored(self, arm: str, phase: str) -> list[FrozenTrial]:
        return self._tables.read_trials(self._study_id(arm, phase))

    def _study_id(self, arm: str, phase: str) -> int:
        if (arm, phase) not in self._study_ids:
            optuna.create_study(
                storage=self._storage,
                study_name=self._study_name(arm, phase),
                direction=self._direction,
                load_if_exists=True,
            )
            self._describe(arm, phase)
        found = self._find_study(arm, phase)
        assert found is not None
        return found

    def _describe(self, arm: str, phase: str) -> None:
        """Name the objective and write a note, as Optuna's dashboard shows them."""
        study_id = self._find_study(arm, phase)
        assert study_id is not None
        known = self._storage.get_study_system_attrs(study_id)
        shown: dict[str, int | str | Sequence[str]] = {_NOTE_VERSION: 0, _NOTE: _NOTES[phase]}
        if self._metric is not None:
            shown[_METRIC_NAMES] = [self._metric]
        for key, value in shown.items():
            # A note that somebody has edited since is kept.
            if key not in known:
                self._storage.set_study_system_attr(study_id, key, value)

    def _find_study(self, arm: str, phase: str) -> int | None:
        if (arm, phase) not in self._study_ids:
            try:
                name = self._study_name(arm, phase)
                self._study_ids[arm, phase] = self._storage.get_study_id_from_name(name)
            except KeyError:
                return None
        return self._study_ids[arm, phase]

    def _study_name(self, arm: str, phase: str) -> str:
        return f"{self._name}/{arm}/{phase}"


class NoTrials:
    """The trial store of a study whose database was not created yet."""

    def records(self, arm: str, phase: PhaseName) -> list[TrialRecord]:  # noqa: ARG002 (the interface)
        """Return no trials."""
        return []


TrialReader: TypeAlias = TrialStore | NoTrials


def open_for_reading(
    url: str, study: str, *, maximize: bool, must_exist: bool = True
) -> TrialReader:
    """Open a database without creating anything.

    Args:
        url: SQLAlchemy URL.
        study: Name of the study.
        maximize: Direction of the objective.
        must_exist: Whether a missing or empty SQLite file is an error; else there are no trials.

    Raises:
        StoreError: If the database cannot be opened.
    """
    if must_exist:
        require_database_file(url)
    elif not has_tables(url):
        return NoTrials()
    return TrialStore(url, study, maximize=maximize)


_STATES: Mapping[TrialState, StateName] = {
    TrialState.RUNNING: "RUNNING",
    TrialState.WAITING: "RUNNING",
    TrialState.COMPLETE: "COMPLETE",
    TrialState.PRUNED: "PRUNED",
    TrialState.FAIL: "FAIL",
}
_FINISHED_STATES: Mapping[FinishedState, TrialState] = {
    "COMPLETE": TrialState.COMPLETE,
    "PRUNED": TrialState.PRUNED,
    "FAIL": TrialState.FAIL,
}


def _is_foreign(trial: FrozenTrial) -> bool:
    """Check whether another program asked for a trial."""
    return trial.state == TrialState.RUNNING and "started_ms" not in trial.user_attrs


def _start_attrs(replicas: int | None, first_replica: int = 0) -> dict[str, int | None]:
    later = {"first_replica": first_replica} if first_replica else {}
    return {"replicas": replicas, **later, "started_ms": now_ms()}


def _last_value(trial: FrozenTrial) -> float | None:
    """Return what Optuna shows as the value of a pruned trial."""
    step = trial.last_step
    return None if step is None else trial.intermediate_values[step]


def _trial_record(key: TrialKey, trial: FrozenTrial) -> TrialRecord:
    user_attrs = trial.user_attrs
    is_finished = trial.state.is_finished()
    return TrialRecord(
        key=key,
        state=_STATES[trial.state],
        params=trial.params,
        value=trial.value if trial.state == TrialState.COMPLETE else None,
        reason=user_attrs.get("reason") if trial.state == TrialState.FAIL else None,
        # Optuna's own times are local, without their time zone.
        started_ms=user_attrs.get("started_ms", 0),
        finished_ms=user_attrs.get("finished_ms") if is_finished else None,
        replicas=user_attrs.get("replicas"),
        first_replica=user_attrs.get("first_replica", 0),
        last_epoch=trial.last_step,
    )
