"""What stands in the Optuna database, read with SQL: the audit does not ask who wrote it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, create_engine, text


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerTrial:
    """A trial as it stands in the database, half-asked ones included.

    Attributes:
        study: Name of its Optuna study, ``<study>/<arm>/<phase>``.
        number: Its number there.
        state: Optuna's word for where it stands.
        values: Its final values: one for a complete trial.
        reports: Intermediate values as (epoch, value), by epoch, as often as they are there.
    """

    study: str
    number: int
    state: str
    values: tuple[float, ...] = ()
    reports: tuple[tuple[int, float], ...] = ()

    @property
    def key(self) -> str:
        """``<arm>/<phase>/<number>``, as elsewhere."""
        return f"{self.study.partition('/')[2]}/{self.number}"


def read_ledger_trials(url: str, study: str) -> tuple[LedgerTrial, ...]:
    """Read all trials of a study from its Optuna database, by arm, phase and number.

    Args:
        url: SQLAlchemy URL of the database.
        study: Name of the study.
    """
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return tuple(_trials(connection, study))
    finally:
        engine.dispose()


def _trials(connection: Connection, study: str) -> Iterable[LedgerTrial]:
    values = _by_trial(connection, "SELECT trial_id, value FROM trial_values ORDER BY objective")
    reports = _by_trial(
        connection,
        "SELECT trial_id, step, intermediate_value FROM trial_intermediate_values "
        "ORDER BY step, trial_intermediate_value_id",
    )
    found = connection.execute(
        text(
            "SELECT trial_id, study_name, number, state FROM trials "
            "JOIN studies ON studies.study_id = trials.study_id "
            "WHERE study_name LIKE :names ORDER BY study_name, number, trial_id"
        ),
        {"names": f"{study}/%"},
    )
    for trial_id, name, number, state in found:
        yield LedgerTrial(
            study=name,
            number=number,
            state=state,
            values=tuple(value for (value,) in values.get(trial_id, ())),
            reports=tuple((step, value) for step, value in reports.get(trial_id, ())),
        )


def _by_trial(connection: Connection, query: str) -> dict[int, list[tuple[Any, ...]]]:
    found: dict[int, list[tuple[Any, ...]]] = {}
    for trial_id, *columns in connection.execute(text(query)):
        found.setdefault(trial_id, []).append(tuple(columns))
    return found
