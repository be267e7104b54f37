"""An Optuna study as its database has it, in memory: what samplers read.

One driver at a time writes a study, which the lease sees to, so that nothing that it wrote has to
be read again. A sampler that reads the database reads all running trials three times for each
point, and Optuna itself stores a new trial, each of its parameters and each note in a transaction
of its own; here a point is drawn first, and is then stored as a whole.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from search_spaces import ParamValue, Space
from search_spaces.optuna_space import suggest


class Mirror:
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
        self._ids: dict[int, int] = {}
        for trial in stored:
            self._storage.create_new_trial(self._study._study_id, _begun(trial))
            self._ids[trial.number] = trial._trial_id

    def trial(self, number: int) -> FrozenTrial | None:
        """Give a trial as it stands, not to be changed; None if there is none of that number."""
        return None if number not in self._ids else self._storage.get_trial(self._own_id(number))

    def trial_id(self, number: int) -> int:
        """Give a trial's id in the database; KeyError if there is none."""
        return self._ids[number]

    def propose(
        self, sampler: optuna.samplers.BaseSampler, space: Space, notes: Mapping[str, Any]
    ) -> FrozenTrial:
        """Draw the next trial's point; :meth:`stored` must follow.

        Returns:
            What is to be stored.
        """
        self._study.sampler = sampler
        trial = self._study.ask()
        suggest(trial, space)
        for name, note in notes.items():
            trial.set_user_attr(name, note)
        drawn = copy.copy(self._storage.get_trial(trial._trial_id))
        # What samplers leave for other processes while a trial lacks its parameters.
        drawn.system_attrs = {}
        return drawn

    def enter(
        self,
        params: Mapping[str, ParamValue],
        distributions: Mapping[str, BaseDistribution],
        notes: Mapping[str, Any],
    ) -> FrozenTrial:
        """Take in the next trial at a chosen point; :meth:`stored` must follow.

        Returns:
            What is to be stored.
        """
        template = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=dict(params),
            distributions=dict(distributions),
            user_attrs=dict(notes),
        )
        own_id = self._storage.create_new_trial(self._study._study_id, template)
        return self._storage.get_trial(own_id)

    def stored(self, number: int, trial_id: int) -> None:
        """Note the id that the database gave to a new trial."""
        self._ids[number] = trial_id

    def report(self, number: int, epoch: int, value: float) -> None:
        """Note an intermediate objective."""
        self._storage.set_trial_intermediate_value(self._own_id(number), epoch, value)

    def end(self, number: int, state: TrialState, value: float | None) -> None:
        """Note how a trial ended."""
        values = None if value is None else [value]
        self._storage.set_trial_state_values(self._own_id(number), state, values)

    def _own_id(self, number: int) -> int:
        study_id = self._study._study_id
        return self._storage.get_trial_id_from_study_id_trial_number(study_id, number)


def _begun(trial: FrozenTrial) -> FrozenTrial:
    if trial.state != TrialState.WAITING:
        return trial
    # Put there by hand: it has its number, and is not the answer to the next question.
    begun = copy.copy(trial)
    begun.state = TrialState.RUNNING
    return begun
