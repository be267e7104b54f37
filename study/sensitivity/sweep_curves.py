"""A metric over the swept values of one dimension, for one arm and for several."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from study.records.errors import ReportError
from study.records.frames import Row, Tabular
from study.records.labels import Direction, metric_label
from study.records.trial_table import ArmRow, ParamValue, TrialRow, TrialTable
from study.sensitivity.intervals import (
    Compared,
    CorrectedDifference,
    Interval,
    PairedDifference,
    ReplicaValues,
    align_to_seeds,
    difference_cells,
    differences_to,
    interval_cells,
    last_values,
    paired_difference,
    t_interval,
)
from study.sensitivity.replica_health import seeds_at_chance
from study.sensitivity.workloads import (
    CONTROLS,
    control_of,
    describe_state,
    require_arm,
    require_chosen,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint(Compared):
    """One value of the dimension; one family of comparisons is the curve's values.

    Attributes:
        at_chance: Seeds of the replicas that have learned nothing: with any of them the interval
            is not to be trusted.
    """

    value: ParamValue
    at_chance: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlResult:
    """The same metric of a control's chosen configuration.

    Attributes:
        to_base: Paired difference to Base (this minus Base), a family of its own; None for Base
            itself and without it.
    """

    arm: str
    method: str
    interval: Interval
    to_base: CorrectedDifference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DimensionCurve(Tabular):
    """A metric over one dimension of one arm, from final trials on fresh seeds.

    Attributes:
        chosen: The value that the search chose.
        fixed: The other params, at the chosen configuration.
        seeds: Replica seeds of every point.
        points: By increasing value (in the file's order where values are not numbers).
        controls: Base and Random, as far as the study has completed them.
        averaged: Paired difference to Base of the mean over all values, a comparison of its own;
            None without Base.
        notes: Missing values and controls, in sentences.
    """

    study: str
    arm: str
    method: str
    dimension: str
    metric: str
    direction: Direction
    chosen: ParamValue
    fixed: Mapping[str, ParamValue]
    seeds: tuple[int, ...]
    points: tuple[CurvePoint, ...]
    controls: tuple[ControlResult, ...]
    averaged: PairedDifference | None
    notes: tuple[str, ...]

    @property
    def n(self) -> int:
        """Number of replicas of every point."""
        return len(self.seeds)

    def frame_rows(self) -> Iterator[Row]:
        """Yield a row per value of the dimension, one per control, and the values averaged."""
        for point in self.points:
            yield {
                "arm": self.arm,
                "metric": self.metric,
                "dimension": self.dimension,
                "value": point.value,
                "is_chosen": point.value == self.chosen,
                "seeds_at_chance": "; ".join(map(str, point.at_chance)) or None,
                **point.cells(self.seeds),
            }
        for control in self.controls:
            yield {
                "arm": control.arm,
                "metric": self.metric,
                **interval_cells(control.interval),
                **difference_cells(control.to_base, "base"),
            }
        if self.averaged is not None:
            alone = CorrectedDifference(
                difference=self.averaged, p_holm=self.averaged.p_value, family=1
            )
            yield {
                "arm": self.arm,
                "metric": self.metric,
                "dimension": self.dimension,
                "is_averaged": True,
                **difference_cells(alone, "base"),
            }


def sweep_curve(table: TrialTable, arm: str, dimension: str, metric: str) -> DimensionCurve:
    """Compute a metric over the swept values of a dimension, against Base and Random.

    The chosen trial is one of the points. Values whose trial is missing or failed are left out
    and named in ``notes``. Two curves of one arm are two families of comparisons.

    Raises:
        ReportError: If the arm has no such sweep, fewer than 2 of its values or fewer than 2
            replicas completed, or trials that should be pairs have different seeds.
    """
    row = require_arm(table, arm)
    chosen = require_chosen(table, row)
    _require_sweep(table, row, dimension)
    trials, found, notes = _sweep_values(table, row, dimension, metric)
    if len(found) < 2:
        raise ReportError(
            f"arm '{arm}': a curve over {dimension} needs at least 2 completed values, but "
            f"{len(found)} completed ({' '.join(notes)}); "
            f"run 'challenger-study resume {table.study}'."
        )
    controls, control_notes = _controls(table, row, metric)
    base = next((values for one, values in controls if one.method == "base"), None)
    differences = differences_to(base, found)
    return DimensionCurve(
        study=table.study,
        arm=arm,
        method=row.method,
        dimension=dimension,
        metric=metric,
        direction=metric_label(metric).direction,
        chosen=chosen.params[dimension],
        fixed={name: value for name, value in chosen.params.items() if name != dimension},
        seeds=chosen.seeds,
        points=tuple(
            CurvePoint(
                value=value,
                at_chance=seeds_at_chance(row, trials[value]),
                replicas=align_to_seeds(
                    chosen.seeds, values, owner=f"the chosen trial of arm '{arm}'"
                ),
                to_base=differences.get(value),
            )
            for value, values in found.items()
        ),
        controls=tuple(
            ControlResult(
                arm=control.name,
                method=control.method,
                interval=t_interval(values.values),
                to_base=differences_to(None if values is base else base, {0: values}).get(0),
            )
            for control, values in controls
        ),
        averaged=_averaged(chosen.seeds, found, base),
        notes=(*notes, *control_notes),
    )


def _averaged(
    seeds: tuple[int, ...], found: Mapping[ParamValue, ReplicaValues], base: ReplicaValues | None
) -> PairedDifference | None:
    """Compare the mean over all values with Base, seed by seed."""
    if base is None:
        return None
    aligned = [align_to_seeds(seeds, values, owner=values.trial) for values in found.values()]
    means = [statistics.fmean(of_seed) for of_seed in zip(*aligned, strict=True)]
    return paired_difference(means, align_to_seeds(seeds, base, owner=base.trial))


def swept_dimensions(table: TrialTable, arm: ArmRow) -> tuple[str, ...]:
    """Return the dimensions that the study file sweeps or that final trials of the arm vary.

    Of an arm with transfer only the study file counts: its trials may differ in one dimension
    by chance.
    """
    if arm.transfer:
        return tuple(arm.sweeps)
    best = arm.best_params or {}
    varied = [
        name
        for name in best
        if any(_varies_only(row, best, name) for row in table.select(arm.name, "final"))
    ]
    return tuple(dict.fromkeys((*arm.sweeps, *varied)))


def _varies_only(row: TrialRow, best: Mapping[str, ParamValue], dimension: str) -> bool:
    """Return whether a trial differs from the chosen configuration in exactly this dimension."""
    differing = {name for name in best if row.params.get(name) != best[name]}
    return differing == {dimension} and set(row.params) == set(best)


def _require_sweep(table: TrialTable, arm: ArmRow, dimension: str) -> None:
    best = arm.best_params or {}
    if dimension not in best:
        raise ReportError(
            f"arm '{arm.name}' must search {dimension} to have a sensitivity to it, but searches "
            f"{', '.join(best) or 'nothing'}; name one of those or another arm."
        )
    if dimension not in swept_dimensions(table, arm):
        raise ReportError(
            f"arm '{arm.name}' has no sweep over {dimension}; "
            f"run 'challenger-study sensitivity {table.study} --over {dimension}' first."
        )


def _sweep_values(
    table: TrialTable, arm: ArmRow, dimension: str, metric: str
) -> tuple[dict[ParamValue, TrialRow], dict[ParamValue, ReplicaValues], tuple[str, ...]]:
    best = arm.best_params or {}
    trials = sorted(table.select(arm.name, "final"), key=lambda row: row.state == "COMPLETE")
    line = {
        row.params[dimension]: row
        for row in trials
        if dict(row.params) == dict(best) or _varies_only(row, best, dimension)
    }
    found: dict[ParamValue, ReplicaValues] = {}
    notes = []
    for value in _sorted_values((*arm.sweeps.get(dimension, ()), *line)):
        row = line.get(value)
        if row is None or row.state != "COMPLETE":
            notes.append(f"The trial at {dimension} = {value} {describe_state(row)}.")
            continue
        try:
            found[value] = last_values(row, metric)
        except ReportError as error:
            notes.append(f"{dimension} = {value} is left out: {error}")
    return line, found, tuple(notes)


def _sorted_values(values: tuple[ParamValue, ...]) -> tuple[ParamValue, ...]:
    distinct = tuple(dict.fromkeys(values))
    if any(isinstance(value, str | bool) for value in distinct):
        return distinct
    return tuple(sorted(distinct, key=float))


def _controls(
    table: TrialTable, arm: ArmRow, metric: str
) -> tuple[list[tuple[ArmRow, ReplicaValues]], tuple[str, ...]]:
    found = []
    notes = []
    for method in CONTROLS:
        control = control_of(table, arm, method)
        if control is None:
            notes.append(f"The study has no {method} arm on {arm.dataset} with {arm.model}.")
        elif control != arm:
            try:
                found.append((control, last_values(require_chosen(table, control), metric)))
            except ReportError as error:
                notes.append(f"The control {method} is left out: {error}")
    return found, tuple(notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCurves(Tabular):
    """The curves of several arms over one dimension.

    Attributes:
        curves: By metric, in the order of ``metrics``, one curve per arm that has it.
        notes: Missing curves, in sentences.
    """

    study: str
    dimension: str
    metrics: tuple[str, ...]
    curves: tuple[tuple[DimensionCurve, ...], ...]
    notes: tuple[str, ...]

    def frame_rows(self) -> Iterator[Row]:
        """Yield the rows of the curves."""
        for curve in (curve for group in self.curves for curve in group):
            yield from curve.frame_rows()


def shared_sweeps(table: TrialTable) -> dict[str, tuple[str, ...]]:
    """Return the dimensions that several arms sweep, with the names of the arms."""
    found: dict[str, list[str]] = {}
    for arm in table.arms:
        for dimension in swept_dimensions(table, arm):
            found.setdefault(dimension, []).append(arm.name)
    return {name: tuple(arms) for name, arms in found.items() if len(arms) > 1}


def arm_curves(table: TrialTable, dimension: str, metrics: tuple[str, ...]) -> ArmCurves:
    """Compute metrics over a dimension for all arms that sweep it.

    An arm that does not report a metric is left out of its curves.

    Raises:
        ReportError: If fewer than 2 arms have a curve of any of the metrics.
    """
    notes: list[str] = []
    curves = tuple(_metric_curves(table, dimension, metric, notes) for metric in metrics)
    arms = {curve.arm for group in curves for curve in group}
    if len(arms) < 2:
        raise ReportError(
            f"study '{table.study}': a figure of several arms over {dimension} needs 2 arms with "
            f"a curve, but there are {len(arms)} ({' '.join(dict.fromkeys(notes))})"
        )
    kept = [(metric, group) for metric, group in zip(metrics, curves, strict=True) if group]
    return ArmCurves(
        study=table.study,
        dimension=dimension,
        metrics=tuple(metric for metric, _ in kept),
        curves=tuple(group for _, group in kept),
        notes=tuple(dict.fromkeys(notes)),
    )


def _metric_curves(
    table: TrialTable, dimension: str, metric: str, notes: list[str]
) -> tuple[DimensionCurve, ...]:
    found = []
    for arm in shared_sweeps(table).get(dimension, ()):
        try:
            found.append(sweep_curve(table, arm, dimension, metric))
        except ReportError as error:
            notes.append(str(error))
    return tuple(found)
