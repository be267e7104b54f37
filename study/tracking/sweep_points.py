"""The sensitivity of arms as points of MLflow's metrics.

MLflow draws one metric of a run over another one that has the same step. So an arm's run has
``sensitivity/top_k/test_accuracy`` and the ends of its interval, and beside them the metric
``top_k`` with the dimension's value. The runs of Base and Random have their own level at every
value, so that a chart shows both as lines.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from search_spaces import CategoricalDimension
from study.records.errors import ReportError
from study.records.trial_table import ArmRow, ParamValue, TrialRow, TrialTable
from study.tracking.logged_metrics import LoggedCurve, LoggedMetrics
from study.tracking.mlflow_records import arm_key, trial_key
from study.tracking.record_types import LogMetrics, MlflowRecord, SetTags

if TYPE_CHECKING:
    from study.sensitivity import DimensionCurve, Interval

# A chosen trial's steps: integers are their own, other values have their hash.
_STEPS: Final = 2**33

_Levels = defaultdict[tuple[str, ParamValue], dict[str, float]]


def sweep_records(table: TrialTable, logged: LoggedMetrics) -> Iterator[MlflowRecord]:
    """Return the points of all curves: those of arms that sweep, and the levels of controls.

    A point is the same whenever it is computed: its step belongs to the value and to the number
    of the chosen trial, whatever is swept later. What the report cannot compute yet has none.
    """
    for dimension, axis in logged.axes.items():
        levels: _Levels = defaultdict(dict)
        for arm in table.arms:
            for curve in logged.over(dimension):
                _add_curve(levels, table, arm, curve)
        for (arm_name, value), metrics in levels.items():
            chosen = table.chosen(arm_name)
            assert chosen is not None, "a curve and its controls have chosen configurations"
            yield LogMetrics(
                run_key=arm_key(arm_name),
                epoch=chosen.number * _STEPS + _step(value),
                time_ms=chosen.finished_ms or chosen.started_ms,
                metrics={axis: axis_value(table, dimension, value), **metrics},
                name=f"sensitivity/{dimension}",
            )
        yield from _trial_records(table, dimension)


def _add_curve(levels: _Levels, table: TrialTable, arm: ArmRow, curve: LoggedCurve) -> None:
    # Slow to import, for commands that show no result.
    from study.sensitivity import sweep_curve

    try:
        found: DimensionCurve = sweep_curve(table, arm.name, curve.dimension, curve.metric)
    except ReportError:
        return  # the report names what is missing
    for point in found.points:
        levels[arm.name, point.value] |= _metrics(curve, point.interval)
        for control in found.controls:
            levels[control.arm, point.value] |= _metrics(curve, control.interval)


def _metrics(curve: LoggedCurve, interval: Interval) -> Mapping[str, float]:
    return dict(zip(curve.keys, (interval.mean, interval.low, interval.high), strict=False))


def _trial_records(table: TrialTable, dimension: str) -> Iterator[MlflowRecord]:
    """Mark the final trials of a sweep, and log their value as a metric, which sorts by number."""
    for arm in table.arms:
        chosen = table.chosen(arm.name)
        for row in table.rows:
            if row.arm != arm.name or row.phase != "final" or dimension not in row.params:
                continue
            is_swept = chosen is not None and _is_of_sweep(table, row, chosen, dimension)
            tags = {f"over/{dimension}": str(is_swept).lower()}
            yield SetTags(run_key=trial_key(row), tags=tags)
            yield LogMetrics(
                run_key=trial_key(row),
                epoch=0,
                time_ms=row.started_ms,
                metrics={dimension: axis_value(table, dimension, row.params[dimension])},
                name=f"value of {dimension}",
            )


def _is_of_sweep(table: TrialTable, row: TrialRow, chosen: TrialRow, dimension: str) -> bool:
    point = {**chosen.params, dimension: row.params[dimension]}
    is_current = row in table.select(row.arm, "final") and row.state == "COMPLETE"
    return is_current and dict(row.params) == point


def axis_value(table: TrialTable, dimension: str, value: ParamValue) -> float:
    """Return a value of a dimension as a number; of choices their place, from 1."""
    for arm in table.arms:
        axis = arm.dimensions.get(dimension)
        if isinstance(axis, CategoricalDimension) and value in axis:
            return float(axis.choices.index(value) + 1)
    return float(value)


def _step(value: ParamValue) -> int:
    if type(value) is int and 0 <= value < _STEPS // 2:
        return value
    return _STEPS // 2 + zlib.crc32(repr(value).encode())
