"""Results of configurations that were found on one dataset on the other datasets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from study.records.errors import ReportError
from study.records.frames import Row, Tabular
from study.records.trial_table import ArmRow, ParamValue, TrialRow, TrialTable
from study.sensitivity.intervals import (
    Compared,
    CorrectedDifference,
    Interval,
    ReplicaValues,
    difference_cells,
    differences_to,
    last_values,
    t_interval,
)
from study.sensitivity.workloads import control_of, describe_state, require_chosen

TRANSFER_METRICS = ("test/accuracy", "test/auc")
"""Metrics by which a configuration is judged on another dataset."""

SourceKind: TypeAlias = Literal["own", "arm", "group"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferValue(Compared):
    """One metric of one configuration on the target; one family is the configurations there.

    Attributes:
        to_own: Paired difference to the target's own choice, Holm-corrected over the other
            configurations tried there; None for that choice, and without its result.
    """

    metric: str
    to_own: CorrectedDifference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRow:
    """A configuration on the target: its origin and its results there.

    Attributes:
        source: Arm that chose it, or the name of the arm over several datasets.
        kind: ``own`` for the target's own choice, ``group`` for that of an arm over several
            datasets, else ``arm``.
        source_datasets: Datasets on which it was found, as text.
        params: The configuration; None if nothing is chosen yet.
        values: By metric; empty where ``note`` gives the reason.
        note: The reason for a missing result, or that it equals the own choice.
        is_infeasible: Whether the result is missing because the target's search space excludes
            the configuration.
    """

    source: str
    kind: SourceKind
    source_datasets: tuple[str, ...]
    params: Mapping[str, ParamValue] | None
    seeds: tuple[int, ...]
    values: tuple[TransferValue, ...]
    note: str
    is_infeasible: bool

    def get(self, metric: str) -> TransferValue | None:
        """Return the value of a metric."""
        return next((value for value in self.values if value.metric == metric), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferTarget:
    """All configurations tried on one arm.

    Attributes:
        rows: Its own choice, then those of the others in the order of the study file.
        base: Metric to the level of Base, as far as it has completed.
        notes: Missing results, in sentences.
    """

    arm: str
    dataset: str
    model: str
    rows: tuple[TransferRow, ...]
    base: Mapping[str, Interval]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Tabular):
    """The configurations that the arms of one method chose, on each other's datasets."""

    study: str
    method: str
    targets: tuple[TransferTarget, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """Missing results, in sentences."""
        return tuple(f"Arm '{t.arm}': {note}" for t in self.targets for note in t.notes)

    def frame_rows(self) -> Iterator[Row]:
        """Yield a row per target, configuration and metric; one for a missing result."""
        for target in self.targets:
            for row in target.rows:
                identity: Row = {
                    "arm": target.arm,
                    "dataset": target.dataset,
                    "model": target.model,
                    "source": row.source,
                    "source_kind": row.kind,
                    "found_on": "; ".join(row.source_datasets),
                    "note": row.note,
                    **{f"params/{name}": value for name, value in (row.params or {}).items()},
                }
                for value in row.values:
                    yield {**identity, **_value_cells(row, value)}
                if not row.values:
                    yield identity


def _value_cells(row: TransferRow, value: TransferValue) -> Row:
    to_own = difference_cells(value.to_own, "own")
    return {
        "metric": value.metric,
        **value.cells(row.seeds),
        **{name if "own" in name else f"{name}_to_own": cell for name, cell in to_own.items()},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _ConfigurationSource:
    """An arm, or a group of arms that share one search."""

    arm: ArmRow
    name: str
    kind: SourceKind
    source_datasets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A configuration and the target's trial of it; without one, ``note`` gives the reason."""

    source: _ConfigurationSource
    trial: TrialRow | None = None
    note: str = ""
    is_infeasible: bool = False


def transfer_methods(table: TrialTable) -> tuple[str, ...]:
    """Return the methods whose configurations are tried on other datasets, in the arms' order."""
    return tuple(dict.fromkeys(arm.method for arm in _targets(table)))


def transfer(table: TrialTable, method: str) -> Transfer:
    """Compare the configurations that the arms of a method chose, on the dataset of each.

    A configuration is the searched params; all else is the target's own. All trials of a target
    have its final seeds. One family of comparisons is one metric of one target; equal
    configurations are one trial, and count once in it. A configuration without a result keeps its
    row, with a note.

    Raises:
        ReportError: If no arm of the method has a completed final trial, a trial has fewer than
            2 replicas, or trials that should be pairs have different seeds.
    """
    arms = [arm for arm in _targets(table) if arm.method == method]
    targets = tuple(_target(table, arm) for arm in arms)
    if not any(row.values for target in targets for row in target.rows):
        raise ReportError(
            f"study '{table.study}': configurations of {method} on other datasets need a "
            f"completed final trial, but there is none; run 'challenger-study resume "
            f"{table.study}'."
        )
    return Transfer(study=table.study, method=method, targets=targets)


def _targets(table: TrialTable) -> list[ArmRow]:
    return [arm for arm in table.arms if arm.transfer and _other_sources(table, arm)]


def _other_sources(table: TrialTable, arm: ArmRow) -> list[_ConfigurationSource]:
    """Return the sources of other configurations, those of a group as one."""
    if not arm.dimensions:
        return []
    sources: dict[str, _ConfigurationSource] = {}
    for other in table.arms:
        is_other = other.name != arm.name and (other.group is None or other.group != arm.group)
        if is_other and other.transfer and other.dimensions and other.method == arm.method:
            sources.setdefault(_name(other), _source(table, other))
    return list(sources.values())


def _source(table: TrialTable, arm: ArmRow, *, is_own: bool = False) -> _ConfigurationSource:
    members = [arm] if arm.group is None else [a for a in table.arms if a.group == arm.group]
    return _ConfigurationSource(
        arm=arm,
        name=_name(arm),
        kind="own" if is_own else "arm" if arm.group is None else "group",
        source_datasets=tuple(dict.fromkeys(member.dataset for member in members)),
    )


def _name(arm: ArmRow) -> str:
    return arm.name if arm.group is None else arm.group


def _target(table: TrialTable, arm: ArmRow) -> TransferTarget:
    tried = [
        _own_candidate(table, arm),
        *(_transferred_candidate(table, arm, other) for other in _other_sources(table, arm)),
    ]
    base, notes = _base_values(table, arm)
    rows = _rows(tried, base)
    return TransferTarget(
        arm=arm.name,
        dataset=arm.dataset,
        model=arm.model,
        rows=rows,
        base={metric: t_interval(values.values) for metric, values in base.items()},
        notes=(*notes, *_missing_notes(rows)),
    )


def _own_candidate(table: TrialTable, arm: ArmRow) -> _Candidate:
    source = _source(table, arm, is_own=True)
    try:
        return _Candidate(source=source, trial=require_chosen(table, arm))
    except ReportError as error:
        return _Candidate(source=source, note=f"no result: {error}")


def _transferred_candidate(
    table: TrialTable, arm: ArmRow, source: _ConfigurationSource
) -> _Candidate:
    params = source.arm.best_params
    if params is None:
        return _Candidate(source=source, note="no result: its search has not chosen yet.")
    if reason := arm.refusals.get(source.arm.name):
        note = f"outside this search space: {reason}"
        return _Candidate(source=source, note=note, is_infeasible=True)
    trials = [r for r in table.select(arm.name, "final") if dict(r.params) == dict(params)]
    row = max(trials, key=lambda r: r.state == "COMPLETE", default=None)
    if row is None or row.state != "COMPLETE":
        return _Candidate(source=source, note=f"no result: its trial {describe_state(row)}.")
    note = "the same as the own choice." if params == arm.best_params else ""
    return _Candidate(source=source, trial=row, note=note)


def _base_values(
    table: TrialTable, arm: ArmRow
) -> tuple[dict[str, ReplicaValues], tuple[str, ...]]:
    control = control_of(table, arm, "base")
    if control is None:
        return {}, (f"The study has no base arm on {arm.dataset} with {arm.model}.",)
    try:
        row = require_chosen(table, control)
        return {metric: last_values(row, metric) for metric in TRANSFER_METRICS}, ()
    except ReportError as error:
        return {}, (f"The control base is left out: {error}",)


def _rows(
    tried: Sequence[_Candidate], base: Mapping[str, ReplicaValues]
) -> tuple[TransferRow, ...]:
    values: dict[int, list[TransferValue]] = {}
    for metric in TRANSFER_METRICS:
        for number, value in _values(metric, tried, base.get(metric)):
            values.setdefault(number, []).append(value)
    return tuple(
        TransferRow(
            source=one.source.name,
            kind=one.source.kind,
            source_datasets=one.source.source_datasets,
            params=one.source.arm.best_params,
            seeds=() if one.trial is None else one.trial.seeds,
            values=() if one.trial is None else tuple(values[one.trial.number]),
            note=one.note,
            is_infeasible=one.is_infeasible,
        )
        for one in tried
    )


def _values(
    metric: str, tried: Sequence[_Candidate], base: ReplicaValues | None
) -> Iterator[tuple[int, TransferValue]]:
    """Yield a metric of each trial, by its number; equal configurations are one trial."""
    trials = {one.trial.number: one.trial for one in tried if one.trial is not None}
    found = {number: last_values(row, metric) for number, row in trials.items()}
    own = tried[0].trial
    rest = {n: v for n, v in found.items() if own is not None and n != own.number}
    to_base = differences_to(base, found)
    to_own = differences_to(None if own is None else found[own.number], rest)
    for number, values in found.items():
        yield (
            number,
            TransferValue(
                metric=metric,
                replicas=values.values,
                to_base=to_base.get(number),
                to_own=to_own.get(number),
            ),
        )


def _missing_notes(rows: Sequence[TransferRow]) -> Iterator[str]:
    # An infeasible configuration is a result, not a gap; its row has the reason.
    for row in rows:
        if not row.values and not row.is_infeasible:
            yield f"The configuration of '{row.source}' has {row.note}"
