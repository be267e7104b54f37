"""Access to the trials in Optuna's database: in bulk by its private tables, or by its public API.

This is the only file that knows Optuna's private tables and attributes. :class:`TrialTables` is
the public way; :func:`open_tables` takes it for versions of Optuna whose tables were not tested.
"""

from __future__ import annotations

import copy
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal, cast

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.storages import InMemoryStorage, RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import func, insert, inspect, select
from sqlalchemy.orm import Session

from search_spaces import ParamValue, Space
from search_spaces.optuna_sampler import suggest_params
from study.records.errors import StoreError

logger = logging.getLogger(__name__)

# Versions of Optuna (major and minor) whose private tables are those that BulkTables writes.
_BULK_VERSIONS: Final = {"5.0"}


class CachedStudy:
    """The trials of one Optuna study in memory, and their ids in the database; mutable.

    A caller changes the database first and this second, and discards this if the first failed.
    """

    def __init__(
        self, direction: Literal["maximize", "minimize"], stored: Iterable[FrozenTrial]
    ) -> None:
        """Copy the stored trials of a study, in the order of their numbers."""
        self._storage = InMemoryStorage()
        self._study = optuna.create_study(
            storage=self._storage, study_name="cached", direction=direction
        )
        self._study_id = self._storage.get_study_id_from_name("cached")
        self._trial_ids: dict[int, int] = {}
        self._lagging: _LaggingStudy | None = None
        for trial in stored:
            self._storage.create_new_trial(self._study_id, _as_running(trial))
            self._trial_ids[trial.number] = trial._trial_id

    def trial(self, number: int) -> FrozenTrial | None:
        """Return a trial, not to be changed; None if there is none of that number."""
        if number not in self._trial_ids:
            return None
        return self._storage.get_trial(self._memory_id(number))

    def trial_id(self, number: int) -> int:
        """Return a trial's id in the database; KeyError if there is none."""
        return self._trial_ids[number]

    def sample(
        self,
        sampler: optuna.samplers.BaseSampler,
        space: Space,
        user_attrs: Mapping[str, Any],
        lag: int | None = None,
    ) -> FrozenTrial:
        """Sample the next trial and return it for the database; :meth:`set_trial_id` follows.

        Args:
            sampler: Proposes the point.
            space: The search space.
            user_attrs: Attributes of the new trial.
            lag: For trial n, show the sampler the results of trials 0 to n - lag alone, all of
                which must have ended; None for all results there are.
        """
        if lag is not None:
            self._lagging = self._lagging or _LaggingStudy(self._study.direction)
            known = self._study.get_trials(deepcopy=False)
            point = self._lagging.sample(known, sampler, space, lag)
            return self.enqueue(point.params, point.distributions, user_attrs)
        self._study.sampler = sampler
        trial = self._study.ask()
        suggest_params(trial, space)
        for name, value in user_attrs.items():
            trial.set_user_attr(name, value)
        sampled = copy.copy(self._storage.get_trial(self._memory_id(trial.number)))
        # Samplers leave them for other processes while a trial lacks its parameters.
        sampled.system_attrs = {}
        return sampled

    def enqueue(
        self,
        params: Mapping[str, ParamValue],
        distributions: Mapping[str, BaseDistribution],
        user_attrs: Mapping[str, Any],
    ) -> FrozenTrial:
        """Add the next trial at a point and return it; :meth:`set_trial_id` follows."""
        template = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=dict(params),
            distributions=dict(distributions),
            user_attrs=dict(user_attrs),
        )
        return self._storage.get_trial(self._storage.create_new_trial(self._study_id, template))

    def set_trial_id(self, number: int, trial_id: int) -> None:
        """Set the id that the database gave to a new trial."""
        self._trial_ids[number] = trial_id

    def report(self, number: int, epoch: int, value: float) -> None:
        """Set an intermediate objective."""
        self._storage.set_trial_intermediate_value(self._memory_id(number), epoch, value)

    def set_state(self, number: int, state: TrialState, value: float | None) -> None:
        """Set the final state of a trial."""
        self._storage.set_trial_state_values(self._memory_id(number), state, _values(value))

    def _memory_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)


class _LaggingStudy:
    """The same trials, with results up to a number alone; the others are running; mutable."""

    def __init__(self, direction: optuna.study.StudyDirection) -> None:
        self._storage = InMemoryStorage()
        self._study = optuna.create_study(storage=self._storage, direction=direction)
        self._study_id = self._storage.get_study_id_from_name(self._study.study_name)
        self._released = 0

    def sample(
        self,
        known: Sequence[FrozenTrial],
        sampler: optuna.samplers.BaseSampler,
        space: Space,
        lag: int,
    ) -> FrozenTrial:
        """Sample the trial after the known ones from the results that the lag leaves."""
        for trial in known[len(self._study.get_trials(deepcopy=False)) :]:
            started = optuna.trial.create_trial(
                state=TrialState.RUNNING, params=trial.params, distributions=trial.distributions
            )
            self._storage.create_new_trial(self._study_id, started)
        ended = known[self._released : max(len(known) + 1 - lag, 0)]
        for trial in ended:
            if not trial.state.is_finished():
                raise AssertionError(f"trial {trial.number} has not ended")
            own = self._storage.get_trial_id_from_study_id_trial_number(
                self._study_id, trial.number
            )
            for step, value in trial.intermediate_values.items():
                self._storage.set_trial_intermediate_value(own, step, value)
            self._storage.set_trial_state_values(own, trial.state, trial.values)
        self._released += len(ended)
        self._study.sampler = sampler
        asked = self._study.ask()
        suggest_params(asked, space)
        return self._storage.get_trial(asked._trial_id)


def _as_running(trial: FrozenTrial) -> FrozenTrial:
    if trial.state != TrialState.WAITING:
        return trial
    # Enqueued by another program: it has its number, and must not answer the next `ask`.
    running = copy.copy(trial)
    running.state = TrialState.RUNNING
    return running


def _values(value: float | None) -> list[float] | None:
    return None if value is None else [value]


def open_tables(storage: RDBStorage) -> TrialTables:
    """Choose the way to access a database by the version of Optuna."""
    if optuna.__version__.rpartition(".")[0] in _BULK_VERSIONS:
        return BulkTables(storage)
    logger.warning(
        "Optuna %s is not a version whose tables are written in bulk (%s): a trial takes more "
        "statements.",
        optuna.__version__,
        ", ".join(sorted(_BULK_VERSIONS)),
    )
    return TrialTables(storage)


def _number_error(study: str, number: int, count: int) -> StoreError:
    return StoreError(
        f"the next trial of {study} in the Optuna database must be number {number}, but is "
        f"{count}: another process adds trials to it; end that one, and begin the study under "
        "another name."
    )


@dataclass(frozen=True, slots=True)
class TrialTables:
    """Access by Optuna's public API: a statement or more for each value."""

    storage: RDBStorage

    def add_trial(self, study_id: int, trial: FrozenTrial) -> int:
        """Store a new running trial, whole or not at all, and return its id.

        Args:
            study_id: The study.
            trial: The trial, with the next number of the study.

        Raises:
            StoreError: If the study has more trials.
        """
        study = self.storage.get_study_name_from_id(study_id)
        count = self.storage.get_n_trials(study_id)
        if count != trial.number:
            raise _number_error(study, trial.number, count)
        trial_id = self.storage.create_new_trial(study_id, trial)
        number = self.storage.get_trial_number_from_id(trial_id)
        if number != trial.number:
            # Another process added one since they were counted.
            self.storage.set_trial_state_values(trial_id, TrialState.FAIL)
            raise _number_error(study, trial.number, number)
        return trial_id

    def add_intermediate_values(self, values: Mapping[tuple[int, int], float]) -> None:
        """Store objectives of running trials by trial id and step; a stored step is kept.

        Raises:
            UpdateFinishedTrialError: If one of the trials has ended.
        """
        trials = {trial_id: self.storage.get_trial(trial_id) for trial_id, _ in values}
        for trial_id, trial in trials.items():
            self.storage.check_trial_is_updatable(trial_id, trial.state)
        for (trial_id, step), value in values.items():
            if step not in trials[trial_id].intermediate_values:
                self.storage.set_trial_intermediate_value(trial_id, step, value)

    def end_trial(
        self,
        trial_id: int,
        state: TrialState,
        value: float | None,
        user_attrs: Mapping[str, int | str],
    ) -> None:
        """Store the end of a running trial with its objective, if any, and user attributes.

        Raises:
            UpdateFinishedTrialError: If it has ended before.
        """
        # Attributes of a running trial mean nothing, should the process end in between.
        for name, attr in user_attrs.items():
            self.storage.set_trial_user_attr(trial_id, name, attr)
        self.storage.set_trial_state_values(trial_id, state, _values(value))

    def read_trials(self, study_id: int) -> list[FrozenTrial]:
        """Read all trials of a study by number, without Optuna's times and system attributes."""
        trials = self.storage.get_all_trials(study_id, deepcopy=True)
        for trial in trials:
            trial.datetime_start = trial.datetime_complete = None
            trial.system_attrs = {}
        return trials


@dataclass(frozen=True, slots=True)
class BulkTables(TrialTables):
    """Access by Optuna's private tables: one transaction for each call."""

    def add_trial(self, study_id: int, trial: FrozenTrial) -> int:
        """See :meth:`TrialTables.add_trial`."""
        with _create_scoped_session(self.storage.scoped_session) as session:
            # Locked: another process that adds one at the same time waits.
            study = models.StudyModel.find_or_raise_by_id(study_id, session, for_update=True)
            of_study = models.TrialModel.study_id == study_id
            count = session.scalar(select(func.count(models.TrialModel.trial_id)).where(of_study))
            if count != trial.number:
                raise _number_error(str(study.study_name), trial.number, int(count or 0))
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

    def add_intermediate_values(self, values: Mapping[tuple[int, int], float]) -> None:
        """See :meth:`TrialTables.add_intermediate_values`; all are stored, or none."""
        model, trial = models.TrialIntermediateValueModel, models.TrialModel
        ids = {trial_id for trial_id, _ in values}
        # If another process stores the same at this moment, it took the study over and has it all.
        with _create_scoped_session(self.storage.scoped_session, True) as session:
            states = select(trial.trial_id, trial.state).where(trial.trial_id.in_(ids))
            for trial_id, state in session.execute(states):
                self.storage.check_trial_is_updatable(trial_id, state)
            stored = select(model.trial_id, model.step).where(model.trial_id.in_(ids))
            known = {(trial_id, step) for trial_id, step in session.execute(stored)}
            missing = sorted(values.keys() - known)
            if missing:
                rows = [_intermediate_value_row(*each, values[each]) for each in missing]
                session.execute(insert(model), rows)

    def end_trial(
        self,
        trial_id: int,
        state: TrialState,
        value: float | None,
        user_attrs: Mapping[str, int | str],
    ) -> None:
        """See :meth:`TrialTables.end_trial`."""
        with _create_scoped_session(self.storage.scoped_session) as session:
            trial = models.TrialModel.find_or_raise_by_id(trial_id, session, for_update=True)
            self.storage.check_trial_is_updatable(trial_id, cast("TrialState", trial.state))
            for name, attr in user_attrs.items():
                self.storage._set_trial_attr_without_commit(
                    session, models.TrialUserAttributeModel, trial_id, name, attr
                )
            if value is not None:
                self.storage._set_trial_value_without_commit(session, trial, 0, value)
            trial.state = state
            # Optuna's own, for its tools.
            trial.datetime_complete = datetime.now()

    def read_trials(self, study_id: int) -> list[FrozenTrial]:
        """See :meth:`TrialTables.read_trials`; five statements, however many trials there are."""
        trial = models.TrialModel
        of_study = trial.study_id == study_id
        columns = (trial.trial_id, trial.number, trial.state)
        with _create_scoped_session(self.storage.scoped_session) as session:
            found = session.execute(select(*columns).where(of_study).order_by(trial.number)).all()
            param, attr = models.TrialParamModel, models.TrialUserAttributeModel
            of_param = (param.param_name, param.param_value, param.distribution_json)
            params = _read_rows(session, of_study, *of_param)
            user_attrs = _read_rows(session, of_study, attr.key, attr.value_json)
            end = models.TrialValueModel
            values = _read_rows(session, of_study, end.objective, end.value, end.value_type)
            step = models.TrialIntermediateValueModel
            of_step = (step.step, step.intermediate_value, step.intermediate_value_type)
            steps = _read_rows(session, of_study, *of_step)
        within = {
            trial_id: {name: _distribution(text) for name, (_, text) in of_trial.items()}
            for trial_id, of_trial in params.items()
        }
        return [
            FrozenTrial(
                number=number,
                trial_id=trial_id,
                state=state,
                value=end.stored_repr_to_value(*values[trial_id][0]) if values[trial_id] else None,
                params={
                    name: within[trial_id][name].to_external_repr(value)
                    for name, (value, _) in params[trial_id].items()
                },
                distributions=within.get(trial_id, {}),
                user_attrs={k: json.loads(v) for k, (v,) in user_attrs[trial_id].items()},
                system_attrs={},
                intermediate_values={
                    epoch: step.stored_repr_to_intermediate_value(*stored)
                    for epoch, stored in steps[trial_id].items()
                },
                datetime_start=None,
                datetime_complete=None,
            )
            for trial_id, number, state in found
        ]


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
    for name, value in trial.user_attrs.items():
        yield {"trial_id": trial_id, "key": name, "value_json": json.dumps(value)}


# Trial id to name or step to the content of the row.
_ByTrial = dict[int, dict[Any, Any]]


def _read_rows(session: Session, of_study: Any, *columns: Any) -> _ByTrial:  # noqa: ANN401 (SQLAlchemy's)
    """Read rows of a study's trials; the first column is a name or step."""
    model = columns[0].class_
    rows = select(model.trial_id, *columns).join(models.TrialModel).where(of_study)
    found: _ByTrial = defaultdict(dict)
    # By the primary key: samplers read params in the order in which they were stored.
    in_order = rows.order_by(*inspect(model).primary_key)
    for trial_id, name, *content in session.execute(in_order):
        found[trial_id][name] = content
    return found


@lru_cache(maxsize=1024)
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)
