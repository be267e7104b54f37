"""All trials of an Optuna study, read in five statements without an object per row.

Optuna itself makes one of every row and reads every distribution anew: of ten thousand trials
that takes several seconds.
"""

from __future__ import annotations

import json
from collections import defaultdict
from functools import lru_cache
from typing import Any

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial
from sqlalchemy import select
from sqlalchemy.orm import Session

# Of a trial: name or step to what the row says.
_ByTrial = dict[int, dict[Any, Any]]


def read_trials(storage: RDBStorage, study_id: int) -> list[FrozenTrial]:
    """Give all trials of a study by number, without Optuna's own times and system attributes."""
    trial = models.TrialModel
    of_study = trial.study_id == study_id
    columns = (trial.trial_id, trial.number, trial.state)
    with _create_scoped_session(storage.scoped_session) as session:
        found = session.execute(select(*columns).where(of_study).order_by(trial.number)).all()
        params = _params(session, of_study)
        notes = _notes(session, of_study)
        values = _values(session, of_study)
        steps = _steps(session, of_study)
    return [
        FrozenTrial(
            number=number,
            trial_id=trial_id,
            state=state,
            value=values.get(trial_id, {}).get(0),
            params={name: value for name, (value, _) in params[trial_id].items()},
            distributions={name: within for name, (_, within) in params[trial_id].items()},
            user_attrs=notes[trial_id],
            system_attrs={},
            intermediate_values=steps[trial_id],
            datetime_start=None,
            datetime_complete=None,
        )
        for trial_id, number, state in found
    ]


def _params(session: Session, of_study: Any) -> _ByTrial:  # noqa: ANN401 (SQLAlchemy's)
    param, found = models.TrialParamModel, _empty()
    columns = (param.trial_id, param.param_name, param.param_value, param.distribution_json)
    rows = select(*columns).join(models.TrialModel).where(of_study).order_by(param.param_id)
    for trial_id, name, value, text in session.execute(rows):
        within = _distribution(text)
        found[trial_id][name] = (within.to_external_repr(value), within)
    return found


def _notes(session: Session, of_study: Any) -> _ByTrial:  # noqa: ANN401
    note, found = models.TrialUserAttributeModel, _empty()
    columns = (note.trial_id, note.key, note.value_json)
    rows = select(*columns).join(models.TrialModel).where(of_study)
    for trial_id, name, text in session.execute(rows):
        found[trial_id][name] = json.loads(text)
    return found


def _values(session: Session, of_study: Any) -> _ByTrial:  # noqa: ANN401
    value, found = models.TrialValueModel, _empty()
    columns = (value.trial_id, value.objective, value.value, value.value_type)
    rows = select(*columns).join(models.TrialModel).where(of_study)
    for trial_id, objective, stored, kind in session.execute(rows):
        found[trial_id][objective] = value.stored_repr_to_value(stored, kind)
    return found


def _steps(session: Session, of_study: Any) -> _ByTrial:  # noqa: ANN401
    step, found = models.TrialIntermediateValueModel, _empty()
    columns = (step.trial_id, step.step, step.intermediate_value, step.intermediate_value_type)
    rows = select(*columns).join(models.TrialModel).where(of_study)
    for trial_id, epoch, stored, kind in session.execute(rows):
        found[trial_id][epoch] = step.stored_repr_to_intermediate_value(stored, kind)
    return found


def _empty() -> _ByTrial:
    return defaultdict(dict)


@lru_cache(maxsize=1024)
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)
