"""What Optuna's storage does in several transactions, done in one: all of it is there, or none."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import TrialState


def end_trial(
    storage: RDBStorage,
    trial_id: int,
    state: TrialState,
    value: float | None,
    notes: Mapping[str, int | str],
) -> None:
    """Store how a trial ended, with notes: one transaction, and one wait for the disk.

    Args:
        storage: The database.
        trial_id: The trial, which must be running.
        state: Its end.
        value: Its objective, if it has one.
        notes: User attributes to be added.

    Raises:
        UpdateFinishedTrialError: If it has ended before.
    """
    with _create_scoped_session(storage.scoped_session) as session:
        trial = models.TrialModel.find_or_raise_by_id(trial_id, session, for_update=True)
        storage.check_trial_is_updatable(trial_id, trial.state)
        for name, note in notes.items():
            storage._set_trial_attr_without_commit(
                session, models.TrialUserAttributeModel, trial_id, name, note
            )
        if value is not None:
            storage._set_trial_value_without_commit(session, trial, 0, value)
        trial.state = state
        # Optuna's own, local and without its zone, for those who look with its tools.
        trial.datetime_complete = datetime.now()
