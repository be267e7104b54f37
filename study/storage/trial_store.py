"""The ledger: what was asked and told, in the Optuna database, the one truth of a study.

Each arm has an Optuna study per phase, ``<study>/<arm>/search`` and ``<study>/<arm>/final``. A
trial is known by its number there, whichever process trains it, so that a driver that starts
again needs nothing but this database and the trials' folders.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from search_spaces import Design, ParamValue, Space
from search_spaces.optuna_sampler import (
    DesignSampler,
    SamplerName,
    fixed_distributions,
    make_sampler,
    suggest_params,
)
from study.records.trial_table import PhaseName
from study.records.trial_table import TrialState as StateName
from study.storage.database import DatabaseFile, open_database, require_database_file
from study.storage.layout import TrialKey
from study.storage.optuna_bulk import (
    CachedStudy,
    add_intermediate_values,
    add_trial,
    end_trial,
    read_trials,
)
from study.storage.report_log import FinishedState, TrialOutcome

# Optuna's own messages would interrupt the progress display, one per trial.
logging.getLogger("optuna").setLevel(logging.WARNING)

__all__ = [
    "DesignSettings",
    "TrialRecord",
    "IntermediateValue",
    "TrialStore",
    "SearchSettings",
    "SamplerSettings",
    "require_database_file",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One trial in the ledger.

    Attributes:
        key: Arm, phase and number.
        state: Where it stands.
        params: Its point; empty for a method without dimensions.
        value: Objective after the last epoch, or None.
        reason: Why it failed, or None.
        started_ms: When it was asked for, in milliseconds since 1970.
        finished_ms: When it was told, or None.
        replicas: How many replicas it trains; None if that is not known.
    """

    key: TrialKey
    state: StateName
    params: Mapping[str, ParamValue]
    value: float | None
    reason: str | None
    started_ms: int
    finished_ms: int | None
    replicas: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntermediateValue:
    """What a running trial reached.

    Attributes:
        key: The trial.
        epoch: The epoch of it that has ended, from 1.
        value: Its objective then.
    """

    key: TrialKey
    epoch: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerSettings:
    """How a sampler proposes points.

    Attributes:
        name: Name of the sampler.
        seed: Seed; each trial's draws depend on it and on the number of trials before.
        startup_trials: Trials drawn at random before anything is modeled.
    """

    name: SamplerName
    seed: int
    startup_trials: int

    def sampler(self, space: Space, number: int) -> optuna.samplers.BaseSampler:  # noqa: ARG002
        """Make who proposes the trial of a number."""
        # A process that starts again goes on with fresh numbers instead of its first ones.
        return make_sampler(self.name, (self.seed + number) % 2**32, self.startup_trials)


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignSettings:
    """Which design's points are proposed.

    Attributes:
        design: The design.
        seed: Seed; a trial's point depends on it and on the trial's number alone.
    """

    design: Design
    seed: int

    def sampler(self, space: Space, number: int) -> optuna.samplers.BaseSampler:  # noqa: ARG002
        """Make who proposes the trial of a number."""
        return DesignSampler(self.design, space, self.seed)


SearchSettings: TypeAlias = SamplerSettings | DesignSettings


class TrialStore:
    """Asks, reports and tells; every call is in the database when it returns."""

    def __init__(self, url: str, study: str, *, maximize: bool, must_exist: bool = False) -> None:
        """Open a database.

        Args:
            url: SQLAlchemy URL; SQLite gets write-ahead logging.
            study: Name of the study.
            maximize: Direction of the objective.
            must_exist: Whether a missing SQLite file is an error rather than a new database.

        Raises:
            StoreError: If the database cannot be opened.
        """
        if must_exist:
            require_database_file(url)
        self._name = study
        self._direction: Literal["maximize", "minimize"] = "maximize" if maximize else "minimize"
        self._studies: dict[tuple[str, str], int] = {}
        self._cached_studies: dict[tuple[str, str], CachedStudy] = {}
        self._storage = open_database(url)
        self._file = DatabaseFile.of(url)

    def ask(
        self,
        arm: str,
        number: int,
        space: Space,
        settings: SearchSettings,
        replicas: int | None = None,
    ) -> TrialRecord:
        """Ask the sampler or design for an arm's search trial of a number.

        Asking for the same number again gives the same trial: a database that went away may have
        kept what it did not live to answer.

        Args:
            arm: Name of the arm.
            number: The trial's, one above the last one's.
            space: What is searched.
            settings: How points are proposed.
            replicas: How many replicas the trial is to train.

        Raises:
            StoreError: If the database's file was deleted or replaced meanwhile.
        """
        self._file.require_unchanged()
        key = TrialKey(arm=arm, phase="search", number=number)
        sampler = settings.sampler(space, number)
        with self._cached(arm, "search") as cached:
            known = cached.trial(number)
            if known is not None and _is_incomplete(known):
                known = self._complete_incomplete(key, sampler, space, replicas)
            if known is not None:
                return _trial_record(key, known)
            sampled = cached.sample(sampler, space, _start_attrs(replicas))
            cached.set_trial_id(
                number, add_trial(self._storage, self._study_id(arm, "search"), sampled)
            )
        return _trial_record(key, sampled)

    def enqueue(
        self,
        key: TrialKey,
        params: Mapping[str, ParamValue],
        space: Space,
        replicas: int | None = None,
    ) -> TrialRecord:
        """Enter a trial at a point of its arm's space that was chosen beforehand.

        Entering the same number again gives the trial that is there, as :meth:`ask` does.

        Raises:
            StoreError: If the database's file was deleted or replaced meanwhile.
        """
        self._file.require_unchanged()
        with self._cached(key.arm, key.phase) as cached:
            known = cached.trial(key.number)
            if known is not None:
                return _trial_record(key, known)
            within = fixed_distributions(params, space.dimensions)
            enqueued = cached.enqueue(params, within, _start_attrs(replicas))
            study_id = self._study_id(key.arm, key.phase)
            cached.set_trial_id(key.number, add_trial(self._storage, study_id, enqueued))
        return _trial_record(key, enqueued)

    def report(self, reports: Sequence[IntermediateValue]) -> None:
        """Store intermediate objectives in one transaction; an epoch's again changes nothing.

        Args:
            reports: Those of any trials that have not ended, in order.

        Raises:
            StoreError: If the database's file was deleted or replaced meanwhile.
        """
        self._file.require_unchanged()
        with ExitStack() as stack:
            arms = sorted({(report.key.arm, report.key.phase) for report in reports})
            known = {arm: stack.enter_context(self._cached(*arm)) for arm in arms}
            located = [(known[report.key.arm, report.key.phase], report) for report in reports]
            values = {
                (cached.trial_id(report.key.number), report.epoch): report.value
                for cached, report in located
            }
            add_intermediate_values(self._storage, values)
            for cached, report in located:
                cached.report(report.key.number, report.epoch, report.value)

    def tell(self, key: TrialKey, outcome: TrialOutcome) -> None:
        """Tell how a trial ended; the first end of a trial is kept.

        Raises:
            StoreError: If the database's file was deleted or replaced meanwhile.
        """
        self._file.require_unchanged()
        # If another process took the study over, its end is the first, and what is known here is
        # out of date.
        with suppress(UpdateFinishedTrialError), self._cached(key.arm, key.phase) as cached:
            trial_id, trial = cached.trial_id(key.number), cached.trial(key.number)
            if trial is None or trial.state.is_finished():
                return
            state = _FINISHED_STATES[outcome.state]
            value = _last_value(trial) if state == TrialState.PRUNED else outcome.value
            end_trial(self._storage, trial_id, state, value, _end_attrs(outcome))
            cached.set_state(key.number, state, value)

    def records(self, arm: str, phase: PhaseName) -> list[TrialRecord]:
        """Give all trials of an arm and phase by number."""
        return [
            _trial_record(TrialKey(arm=arm, phase=phase, number=trial.number), trial)
            for trial in self._stored(arm, phase)
            if not _is_incomplete(trial)
        ]

    def _stored(self, arm: str, phase: str) -> list[FrozenTrial]:
        return read_trials(self._storage, self._study_id(arm, phase))

    @contextmanager
    def _cached(self, arm: str, phase: str) -> Iterator[CachedStudy]:
        """Give what is known of a study; it is read again once the database may know more."""
        if (arm, phase) not in self._cached_studies:
            self._cached_studies[arm, phase] = CachedStudy(
                self._direction, self._stored(arm, phase)
            )
        try:
            yield self._cached_studies[arm, phase]
        except BaseException:
            self._cached_studies.pop((arm, phase), None)
            raise

    def _complete_incomplete(
        self,
        key: TrialKey,
        sampler: optuna.samplers.BaseSampler,
        space: Space,
        replicas: int | None,
    ) -> FrozenTrial:
        """Give a trial what it lacks: the first versions stored its parameters one by one."""
        name = self._study_name(key.arm, key.phase)
        study = optuna.load_study(study_name=name, storage=self._storage, sampler=sampler)
        trial = optuna.Trial(study, study.get_trials(deepcopy=False)[key.number]._trial_id)
        suggest_params(trial, space)
        # Last of all `started_ms`: a trial without it was not wholly asked for.
        for note, value in _start_attrs(replicas).items():
            trial.set_user_attr(note, value)
        del self._cached_studies[key.arm, key.phase]
        return self._storage.get_trial(trial._trial_id)

    def _study_name(self, arm: str, phase: str) -> str:
        return f"{self._name}/{arm}/{phase}"

    def _study_id(self, arm: str, phase: str) -> int:
        if (arm, phase) not in self._studies:
            study = optuna.create_study(
                storage=self._storage,
                study_name=self._study_name(arm, phase),
                direction=self._direction,
                load_if_exists=True,
            )
            self._studies[arm, phase] = study._study_id
        return self._studies[arm, phase]


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


def _is_incomplete(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.RUNNING and "started_ms" not in trial.user_attrs


def _start_attrs(replicas: int | None) -> dict[str, int | None]:
    return {"replicas": replicas, "started_ms": _now_ms()}


def _end_attrs(outcome: TrialOutcome) -> dict[str, int | str]:
    user_attrs: dict[str, int | str] = {"finished_ms": outcome.finished_ms}
    return user_attrs if outcome.reason is None else {**user_attrs, "reason": outcome.reason}


def _last_value(trial: FrozenTrial) -> float | None:
    """Give what Optuna shows as the value of a trial that a scheduler stopped."""
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
        # Optuna's own times are local, without their zone.
        started_ms=user_attrs.get("started_ms", 0),
        finished_ms=user_attrs.get("finished_ms") if is_finished else None,
        replicas=user_attrs.get("replicas"),
    )


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
