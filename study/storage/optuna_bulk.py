"""Bulk access to Optuna's tables: a study cached in memory, transactions, one read of all trials.

Everything that touches Optuna's private tables and attributes is here.
"""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, cast

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from search_spaces import ParamValue, Space
from search_spaces.optuna_sampler import suggest_params
from study.records.errors import StoreError


class CachedStudy:
    """The trials of one Optuna study, and their ids in the database. Has mutable state: both.

    Whoever changes the database changes the mirror next, and throws it away if the first failed.
    """

    def __init__(
        self, direction: Literal["maximize", "minimize"], stored: Iterable[FrozenTrial]
    ) -> None:
        """Take over what the database has.

        Args:
            direction: The study's.
            stored: Its trials, by number.
        """
        self._study = optuna.create_study(direction=direction)
        self._storage = self._study._storage
        self._trial_ids: dict[int, int] = {}
        for trial in stored:
            self._storage.create_new_trial(self._study._study_id, _as_running(trial))
            self._trial_ids[trial.number] = trial._trial_id

    def trial(self, number: int) -> FrozenTrial | None:
        """Give a trial as it stands, not to be changed; None if there is none of that number."""
        return (
            None
            if number not in self._trial_ids
            else self._storage.get_trial(self._memory_id(number))
        )

    def trial_id(self, number: int) -> int:
        """Give a trial's id in the database; KeyError if there is none."""
        return self._trial_ids[number]

    def sample(
        self, sampler: optuna.samplers.BaseSampler, space: Space, user_attrs: Mapping[str, Any]
    ) -> FrozenTrial:
        """Draw the next trial's point; :meth:`set_trial_id` must follow.

        Returns:
            What is to be stored.
        """
        self._study.sampler = sampler
        trial = self._study.ask()
        suggest_params(trial, space)
        for name, note in user_attrs.items():
            trial.set_user_attr(name, note)
        sampled = copy.copy(self._storage.get_trial(trial._trial_id))
        # What samplers leave for other processes while a trial lacks its parameters.
        sampled.system_attrs = {}
        return sampled

    def enqueue(
        self,
        params: Mapping[str, ParamValue],
        distributions: Mapping[str, BaseDistribution],
        user_attrs: Mapping[str, Any],
    ) -> FrozenTrial:
        """Take in the next trial at a chosen point; :meth:`set_trial_id` must follow.

        Returns:
            What is to be stored.
        """
        template = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=dict(params),
            distributions=dict(distributions),
            user_attrs=dict(user_attrs),
        )
        memory_id = self._storage.create_new_trial(self._study._study_id, template)
        return self._storage.get_trial(memory_id)

    def set_trial_id(self, number: int, trial_id: int) -> None:
        """Note the id that the database gave to a new trial."""
        self._trial_ids[number] = trial_id

    def report(self, number: int, epoch: int, value: float) -> None:
        """Note an intermediate objective."""
        self._storage.set_trial_intermediate_value(self._memory_id(number), epoch, value)

    def set_state(self, number: int, state: TrialState, value: float | None) -> None:
        """Note how a trial ended."""
        values = None if value is None else [value]
        self._storage.set_trial_state_values(self._memory_id(number), state, values)

    def _memory_id(self, number: int) -> int:
        study_id = self._study._study_id
        return self._storage.get_trial_id_from_study_id_trial_number(study_id, number)


def _as_running(trial: FrozenTrial) -> FrozenTrial:
    if trial.state != TrialState.WAITING:
        return trial
    # Put there by hand: it has its number, and is not the answer to the next question.
    begun = copy.copy(trial)
    begun.state = TrialState.RUNNING
    return begun


def add_trial(storage: RDBStorage, study_id: int, trial: FrozenTrial) -> int:
    """Store a new running trial with its parameters and notes.

    Args:
        storage: The database.
        study_id: The study, all of whose trials are known.
        trial: The trial, with the next number of the study.

    Returns:
        Its id in the database.

    Raises:
        StoreError: If the database knows more trials.
    """
    with _create_scoped_session(storage.scoped_session) as session:
        # Whoever adds one at the same time waits.
        study = models.StudyModel.find_or_raise_by_id(study_id, session, for_update=True)
        of_study = models.TrialModel.study_id == study_id
        count = session.scalar(select(func.count(models.TrialModel.trial_id)).where(of_study))
        if count != trial.number:
            raise StoreError(
                f"the next trial of {study.study_name} in the Optuna database must be number "
                f"{trial.number}, but is {count}: another process adds trials to it; end that "
                "one, and begin the study under another name."
            )
        row = models.TrialModel(
            study_id=study_id,
            number=trial.number,
            state=trial.state,
            datetime_start=trial.datetime_start,
        )
        session.add(row)
        session.flush()
        trial_id = int(row.trial_id)
        if trial.params:
            session.execute(insert(models.TrialParamModel), list(_param_rows(trial, trial_id)))
        session.execute(
            insert(models.TrialUserAttributeModel), list(_user_attr_rows(trial, trial_id))
        )
    return trial_id


def add_intermediate_values(storage: RDBStorage, values: Mapping[tuple[int, int], float]) -> None:
    """Store what running trials reached; a step that is stored keeps its value.

    Args:
        storage: The database.
        values: The objective by a trial's id in the database and its step.

    Raises:
        UpdateFinishedTrialError: If one of the trials has ended.
    """
    model = models.TrialIntermediateValueModel
    trials = {trial_id for trial_id, _ in values}
    # If another process stores the same at this moment, it took the study over and has it all.
    with _create_scoped_session(storage.scoped_session, True) as session:
        trial = models.TrialModel
        states = select(trial.trial_id, trial.state).where(trial.trial_id.in_(trials))
        for trial_id, state in session.execute(states):
            storage.check_trial_is_updatable(trial_id, state)
        stored = select(model.trial_id, model.step).where(model.trial_id.in_(trials))
        missing = values.keys() - {(trial_id, step) for trial_id, step in session.execute(stored)}
        if missing:
            session.execute(
                insert(model),
                [_intermediate_value_row(*each, values[each]) for each in sorted(missing)],
            )


def end_trial(
    storage: RDBStorage,
    trial_id: int,
    state: TrialState,
    value: float | None,
    user_attrs: Mapping[str, int | str],
) -> None:
    """Store how a trial ended, with notes.

    Args:
        storage: The database.
        trial_id: The trial, which must be running.
        state: Its end.
        value: Its objective, if it has one.
        notes: User attributes to be added; one that an earlier version left is replaced.

    Raises:
        UpdateFinishedTrialError: If it has ended before.
    """
    with _create_scoped_session(storage.scoped_session) as session:
        trial = models.TrialModel.find_or_raise_by_id(trial_id, session, for_update=True)
        storage.check_trial_is_updatable(trial_id, cast("TrialState", trial.state))
        for name, note in user_attrs.items():
            storage._set_trial_attr_without_commit(
                session, models.TrialUserAttributeModel, trial_id, name, note
            )
        if value is not None:
            storage._set_trial_value_without_commit(session, trial, 0, value)
        trial.state = state
        # Optuna's own, for those who look with its tools.
        trial.datetime_complete = datetime.now()


def _intermediate_value_row(trial_id: int, step: int, value: float) -> dict[str, Any]:
    model = models.TrialIntermediateValueModel
    stored, kind = model.intermediate_value_to_stored_repr(value)
    return {
        "trial_id": trial_id,
        "step": step,
        "intermediate_value": stored,
        "intermediate_value_type": kind,
    }


def _param_rows(trial: FrozenTrial, trial_id: int) -> Iterator[dict[str, Any]]:
    for name, value in trial.params.items():
        within = trial.distributions[name]
        yield {
            "trial_id": trial_id,
            "param_name": name,
            "param_value": within.to_internal_repr(value),
            "distribution_json": distribution_to_json(within),
        }


def _user_attr_rows(trial: FrozenTrial, trial_id: int) -> Iterator[dict[str, Any]]:
    for name, note in trial.user_attrs.items():
        yield {"trial_id": trial_id, "key": name, "value_json": json.dumps(note)}


# Of a trial: name or step to what the row says.
_ByTrial = dict[int, dict[Any, Any]]


def read_trials(storage: RDBStorage, study_id: int) -> list[FrozenTrial]:
    """Give all trials of a study by number, without Optuna's own times and system attributes."""
    trial = models.TrialModel
    of_study = trial.study_id == study_id
    columns = (trial.trial_id, trial.number, trial.state)
    with _create_scoped_session(storage.scoped_session) as session:
        found = session.execute(select(*columns).where(of_study).order_by(trial.number)).all()
        params = _read_params(session, of_study)
        user_attrs = _read_user_attrs(session, of_study)
        values = _read_values(session, of_study)
        steps = _read_intermediate_values(session, of_study)
    return [
        FrozenTrial(
            number=number,
            trial_id=trial_id,
            state=state,
            value=values.get(trial_id, {}).get(0),
            params={name: value for name, (value, _) in params[trial_id].items()},
            distributions={name: within for name, (_, within) in params[trial_id].items()},
            user_attrs=user_attrs[trial_id],
            system_attrs={},
            intermediate_values=steps[trial_id],
            datetime_start=None,
            datetime_complete=None,
        )
        for trial_id, number, state in found
    ]


def _read_params(session: Session, of_study: Any) -> _ByTrial:  # noqa: ANN401 (SQLAlchemy's)
    param, found = models.TrialParamModel, _by_trial()
    columns = (param.trial_id, param.param_name, param.param_value, param.distribution_json)
    rows = select(*columns).join(models.TrialModel).where(of_study).order_by(param.param_id)
    for trial_id, name, value, text in session.execute(rows):
        within = _distribution(text)
        found[trial_id][name] = (within.to_external_repr(value), within)
    return found


def _read_user_attrs(session: Session, of_study: Any) -> _ByTrial:  # noqa: ANN401
    note, found = models.TrialUserAttributeModel, _by_trial()
    columns = (note.trial_id, note.key, note.value_json)
    rows = select(*columns).join(models.TrialModel).where(of_study)
    for trial_id, name, text in session.execute(rows):
        found[trial_id][name] = json.loads(text)
    return found


def _read_values(session: Session, of_study: Any) -> _ByTrial:  # noqa: ANN401
    value, found = models.TrialValueModel, _by_trial()
    columns = (value.trial_id, value.objective, value.value, value.value_type)
    rows = select(*columns).join(models.TrialModel).where(of_study)
    for trial_id, objective, stored, kind in session.execute(rows):
        found[trial_id][objective] = value.stored_repr_to_value(stored, kind)
    return found


def _read_intermediate_values(session: Session, of_study: Any) -> _ByTrial:  # noqa: ANN401
    step, found = models.TrialIntermediateValueModel, _by_trial()
    columns = (step.trial_id, step.step, step.intermediate_value, step.intermediate_value_type)
    rows = select(*columns).join(models.TrialModel).where(of_study)
    for trial_id, epoch, stored, kind in session.execute(rows):
        found[trial_id][epoch] = step.stored_repr_to_intermediate_value(stored, kind)
    return found


def _by_trial() -> _ByTrial:
    return defaultdict(dict)


@lru_cache(maxsize=1024)
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)
