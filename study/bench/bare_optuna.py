"""Optuna alone, as its documentation says: ask, suggest, report four times, tell."""

from __future__ import annotations

import time

import optuna

from search_spaces import Space
from search_spaces.optuna_space import sampler, suggest
from study.store.database import open_database


class BareOptuna:
    """A search without trials between ask and tell. Has mutable state: its Optuna study."""

    def __init__(self, url: str, space: Space, *, startup_trials: int, reports: int) -> None:
        """Begin a search.

        Args:
            url: A database, opened as the ledger opens its own; it holds nothing else.
            space: What TPE searches.
            startup_trials: Trials drawn at random.
            reports: Intermediate values per trial.
        """
        self._space = space
        self._reports = reports
        self._study = optuna.create_study(
            storage=open_database(url), sampler=sampler("tpe", 0, startup_trials)
        )

    def run(self, trials: int) -> float:
        """Go on for some trials; gives the seconds that each took."""
        began = time.monotonic()
        for _ in range(trials):
            trial = self._study.ask()
            suggest(trial, self._space)
            value = (float(trial.params["alpha"]) - 0.6) ** 2
            for step in range(1, self._reports + 1):
                trial.report(value, step)
            self._study.tell(trial, value)
        return (time.monotonic() - began) / trials
