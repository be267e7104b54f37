"""Which metrics the arms' runs have in MLflow: results, and curves over swept dimensions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from search_spaces import CategoricalDimension
from study.records.trial_table import ArmRow, TrialRow, TrialTable

MOST_KEYS: Final = 40
"""Most metrics of an arm's run: with 120, MLflow's page of twelve runs takes minutes."""

ENDS: Final = ("_ci_low", "_ci_high")
"""Endings of the keys of an interval's ends."""

_COSINE: Final = "filter_cosine/"
_MEAN: Final = f"{_COSINE}mean"
_TESTED: Final = ("test/accuracy", "test/auc", "test/nll")
# What else a metric's name may not hold in MLflow.
_ILLEGAL: Final = re.compile(r"[^\w./ -]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedCurve:
    """A metric over a dimension.

    Attributes:
        metric: Key of the metric in the trials.
        has_interval: Whether the ends of its interval are logged too.
    """

    dimension: str
    metric: str
    has_interval: bool

    @property
    def keys(self) -> tuple[str, ...]:
        """Its keys in the arms' runs, the mean's first: ``sensitivity/top_k/test_accuracy``."""
        key = f"sensitivity/{self.dimension}/{self.metric.replace('/', '_')}"
        return (key, *(f"{key}{end}" for end in ENDS)) if self.has_interval else (key,)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedMetrics:
    """The metrics of the arms' runs, at most :data:`MOST_KEYS`.

    Attributes:
        results: Keys of the chosen configurations' results.
        axes: Swept dimension to the key of its values.
        curves: The metrics over the dimensions, in the order of their charts.
        layers: Keys of the layers' filter cosine in trials, the mean's first.
        sections: Beginnings of all keys of arms' and trials' metrics, each up to its last ``/``.
    """

    results: tuple[str, ...]
    axes: Mapping[str, str]
    curves: tuple[LoggedCurve, ...]
    layers: tuple[str, ...]
    sections: tuple[str, ...]

    def over(self, dimension: str) -> tuple[LoggedCurve, ...]:
        """Return the curves over a dimension."""
        return tuple(curve for curve in self.curves if curve.dimension == dimension)


def main_test_metric(objective: str) -> str:
    """Return the test metric of an objective.

    >>> main_test_metric("val/auc")
    'test/auc'
    """
    return f"test/{objective.partition('/')[2]}"


def logged_metrics(table: TrialTable) -> LoggedMetrics:
    """Choose the metrics of the arms' runs from those that the trials have reported.

    Where :data:`MOST_KEYS` do not hold all, the objective's test metric over every dimension
    comes first; then, over one dimension after the other, the filter cosine of all layers (or
    their mean's alone) and the other test metrics; last the results in further metrics, their
    differences to Base, and what else compares arms.
    """
    reported = {key for row in table.rows for report in row.reports for key in report.metrics}
    main = main_test_metric(table.objective)
    tested = [key for key in dict.fromkeys((main, *_TESTED)) if key in reported]
    layers = sorted((key for key in reported if key.startswith(_COSINE)), key=_layer_order)
    axes = {name: _axis(table, name) for arm in table.arms for name in arm.sweeps}
    results = [main, *(f"{main}{end}" for end in ENDS), *difference_keys(main)]
    results += [f"best/{table.objective}", "cost/trained_s"]
    room = MOST_KEYS - len(results) - len(axes)
    curves: list[LoggedCurve] = []
    for group in _by_priority(tuple(axes), tested, layers):
        new = [curve for curve in group if curve not in curves]
        size = sum(len(curve.keys) for curve in new)
        if size <= room:
            curves += new
            room -= size
    others = [key for key in (*layers[:1], *tested) if key != main]
    last = [(f"{main}_std",), (table.objective,), ("cost/cpu_s",), ("cost/gpu_s",)]
    for keys in (*((key,) for key in others), *map(difference_keys, others), *last):
        fitting = keys if len(keys) <= room else ()
        results += fitting
        room -= len(fitting)
    order = {key: place for place, key in enumerate((*tested, *layers))}
    known = [*reported, *results, *(key for curve in curves for key in curve.keys)]
    return LoggedMetrics(
        results=tuple(results),
        axes=axes,
        curves=tuple(sorted(curves, key=lambda curve: order[curve.metric])),
        layers=tuple(layers),
        sections=tuple(sorted({key.rpartition("/")[0] for key in known})),
    )


def _by_priority(
    dimensions: Sequence[str], tested: Sequence[str], layers: Sequence[str]
) -> Iterator[tuple[LoggedCurve, ...]]:
    def curve(dimension: str, metric: str) -> LoggedCurve:
        has_interval = metric in {*tested, _MEAN}
        return LoggedCurve(dimension=dimension, metric=metric, has_interval=has_interval)

    for dimension in dimensions:
        yield tuple(curve(dimension, metric) for metric in tested[:1])
    for dimension in dimensions:
        yield tuple(curve(dimension, key) for key in layers)
        yield tuple(curve(dimension, key) for key in layers[:1])
        yield from ((curve(dimension, metric),) for metric in tested[1:])


def difference_keys(metric: str) -> tuple[str, ...]:
    """Return the keys of a metric's paired difference to Base and of its interval's ends."""
    return tuple(f"{metric}_minus_base{end}" for end in ("", *ENDS))


def _layer_order(key: str) -> tuple[bool, int, str]:
    """Sort the mean before the layers, and these by number."""
    return key != _MEAN, len(key), key


def _axis(table: TrialTable, dimension: str) -> str:
    """Return the key of a dimension's values, which is the title of MLflow's axis.

    Choices are numbered, and named in it. Points that were logged for another choice of the
    search, or for fewer replicas, have no partner in it, so that MLflow leaves them out.
    """
    axes = (arm.dimensions[dimension] for arm in table.arms if dimension in arm.dimensions)
    axis = next(axes, None)
    title = dimension
    if isinstance(axis, CategoricalDimension):
        title += "".join(f" {place}-{choice}" for place, choice in enumerate(axis.choices, 1))
    chosen = {arm.name: table.chosen(arm.name) for arm in table.arms}
    if any(row is not None and _is_second_choice(table, row) for row in chosen.values()):
        numbers = ("none" if row is None else str(row.number) for row in chosen.values())
        title += f" of final {'-'.join(numbers)}"
    return _ILLEGAL.sub(" ", title)[:250]


def _is_second_choice(table: TrialTable, chosen: TrialRow) -> bool:
    """Return whether another configuration, or fewer replicas, had been chosen before."""
    arm = table.arm(chosen.arm)
    return any(
        row.state == "COMPLETE" and row.number < chosen.number and not _is_swept(arm, row, chosen)
        for row in table.rows
        if row.arm == chosen.arm and row.phase == "final"
    )


def _is_swept(arm: ArmRow, row: TrialRow, chosen: TrialRow) -> bool:
    differing = {name for name, value in chosen.params.items() if row.params.get(name) != value}
    return len(differing) == 1 and differing <= set(arm.sweeps) and row.seeds == chosen.seeds
