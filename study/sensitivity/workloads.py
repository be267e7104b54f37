"""Workloads: the arms of one dataset and one model, which may be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from study.records.errors import ReportError
from study.records.trial_table import ArmRow, TrialRow, TrialTable
from study.sensitivity.intervals import require_replicas
from trainables.names import suggestion

_T = TypeVar("_T")

CONTROLS = ("base", "random")
"""Control methods: plain training, and features chosen at random."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A dataset and a model, with the arms trained on them in the order of the study file."""

    dataset: str
    model: str
    arms: tuple[ArmRow, ...]


def workloads(table: TrialTable) -> tuple[Workload, ...]:
    """Group the arms of a study by dataset and model, in the order of their first arm."""
    keys = dict.fromkeys((arm.dataset, arm.model) for arm in table.arms)
    return tuple(
        Workload(
            dataset=dataset,
            model=model,
            arms=tuple(arm for arm in table.arms if (arm.dataset, arm.model) == (dataset, model)),
        )
        for dataset, model in keys
    )


def workloads_with_base(table: TrialTable) -> tuple[Workload, ...]:
    """Return the workloads with Base and another arm."""
    return tuple(
        workload
        for workload in workloads(table)
        if len(workload.arms) > 1 and any(arm.method == "base" for arm in workload.arms)
    )


def control_of(table: TrialTable, arm: ArmRow, method: str) -> ArmRow | None:
    """Return the arm of a method on the arm's own dataset and model that is its control.

    It is the one with the arm's own choice, else the first with a search of its own, else the
    first; none that is trained for longer.
    """
    found = [
        other
        for other in table.arms
        if (other.method, other.dataset, other.model) == (method, arm.dataset, arm.model)
        and other.passes_like is None
    ]
    order = {arm.name: 0, None: 1}
    return min(found, key=lambda other: order.get(other.like, 2), default=None)


def require_arm(table: TrialTable, name: str) -> ArmRow:
    """Return the arm of a name.

    Raises:
        ReportError: If the study has no such arm.
    """
    names = [arm.name for arm in table.arms]
    if name not in names:
        raise ReportError(f"study '{table.study}' has no arm '{name}'; {suggestion(name, names)}")
    return table.arm(name)


def require_chosen(table: TrialTable, arm: ArmRow) -> TrialRow:
    """Return the completed final trial of the arm's chosen configuration.

    Raises:
        ReportError: If the search has not chosen yet, or that trial has not completed.
    """
    again = f"run 'challenger-study resume {table.study}'."
    if arm.best_params is None:
        searched = arm.like or arm.name
        done = sum(row.state == "COMPLETE" for row in table.select(searched, "search"))
        raise ReportError(
            f"arm '{searched}' must have finished its search, but nothing is chosen yet "
            f"({done} search trials completed); {again}"
        )
    chosen = table.chosen(arm.name)
    if chosen is None:
        wanted = dict(arm.best_params)
        row = next((r for r in table.select(arm.name, "final") if dict(r.params) == wanted), None)
        raise ReportError(
            f"arm '{arm.name}' must have trained its chosen configuration to the end, but that "
            f"trial {describe_state(row)}; {again}"
        )
    return chosen


def require_replicated(table: TrialTable, arm: ArmRow) -> TrialRow:
    """Return the completed final trial of the chosen configuration, of at least 2 replicas."""
    row = require_chosen(table, arm)
    require_replicas(arm.name, row.seeds)
    return row


def describe_state(row: TrialRow | None) -> str:
    """Describe the state of a trial as the end of a sentence: ``failed (out of memory)``."""
    if row is None:
        return "has not been started"
    if row.state == "FAIL":
        return f"failed ({row.reason or 'no reason given'})"
    return {"RUNNING": "is still running", "PRUNED": "was stopped early"}.get(
        row.state, "completed"
    )


def read_arms(
    arms: Iterable[ArmRow], read: Callable[[ArmRow], _T]
) -> tuple[dict[str, _T], tuple[str, ...]]:
    """Return the result of a function for each arm, and its errors as notes."""
    found: dict[str, _T] = {}
    notes = []
    for arm in arms:
        try:
            found[arm.name] = read(arm)
        except ReportError as error:
            notes.append(str(error))
    return found, tuple(notes)
