"""What Optuna's storage does in several transactions, done in one: all of it is there, or none.

Optuna stores a new trial, each of its parameters and each note in a transaction of its own, and
looks before each whether the trial is there. Every transaction waits for the disk, and every
statement for the server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, cast

from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import func, insert, select

from study.errors import StoreError


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
            session.execute(insert(models.TrialParamModel), list(_params(trial, trial_id)))
        session.execute(insert(models.TrialUserAttributeModel), list(_notes(trial, trial_id)))
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
                insert(model), [_reached(*each, values[each]) for each in sorted(missing)]
            )


def end_trial(
    storage: RDBStorage,
    trial_id: int,
    state: TrialState,
    value: float | None,
    notes: Mapping[str, int | str],
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
        for name, note in notes.items():
            storage._set_trial_attr_without_commit(
                session, models.TrialUserAttributeModel, trial_id, name, note
            )
        if value is not None:
            storage._set_trial_value_without_commit(session, trial, 0, value)
        trial.state = state
        # Optuna's own, for those who look with its tools.
        trial.datetime_complete = datetime.now()


def _reached(trial_id: int, step: int, value: float) -> dict[str, Any]:
    model = models.TrialIntermediateValueModel
    stored, kind = model.intermediate_value_to_stored_repr(value)
    return {
        "trial_id": trial_id,
        "step": step,
        "intermediate_value": stored,
        "intermediate_value_type": kind,
    }


def _params(trial: FrozenTrial, trial_id: int) -> Iterator[dict[str, Any]]:
    for name, value in trial.params.items():
        within = trial.distributions[name]
        yield {
            "trial_id": trial_id,
            "param_name": name,
            "param_value": within.to_internal_repr(value),
            "distribution_json": distribution_to_json(within),
        }


def _notes(trial: FrozenTrial, trial_id: int) -> Iterator[dict[str, Any]]:
    for name, note in trial.user_attrs.items():
        yield {"trial_id": trial_id, "key": name, "value_json": json.dumps(note)}
