"""Filter cosine per layer: after training, over a dimension and over the epochs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from study.records.errors import ReportError
from study.records.frames import Row, Tabular
from study.records.trial_table import ArmRow, TrialRow, TrialTable
from study.sensitivity.intervals import (
    CorrectedDifference,
    Interval,
    ReplicaValues,
    correct_family,
    difference_cells,
    initial_values,
    interval_cells,
    last_values,
    seed_difference,
    t_interval,
)
from study.sensitivity.sweep_curves import DimensionCurve, sweep_curve
from study.sensitivity.workloads import (
    Workload,
    control_of,
    read_arms,
    require_arm,
    require_chosen,
)

MEAN_LAYER = "mean"
"""Name of the unweighted mean over the convolution layers."""

CHANCE_COSINE = 0.0
"""Expected signed cosine of two independent random filters."""

_SIGNED = "filter_cosine/"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCosine:
    """Cosine similarity between the filters of one layer, over replicas.

    Attributes:
        layer: ``conv1``, …, or ``mean`` for the mean over layers.
        last: Signed mean over filter pairs at the last epoch.
        initial: The same of the initialized model, or None.
        pair_std: Standard deviation over the layer's filter pairs at the last epoch, averaged
            over replicas (the number in brackets in the paper), or None.
        relative: Mean |cosine| over its value for random filters (1 is chance), or None.
        to_base: Paired difference of ``last`` to Base (this minus Base), Holm-corrected over the
            arms; None for Base itself, and without it.
    """

    layer: str
    last: Interval
    initial: Interval | None
    pair_std: float | None
    relative: Interval | None
    to_base: CorrectedDifference | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCosine:
    """The layers of one arm's chosen configuration.

    Attributes:
        epoch: Epoch of the last evaluation.
        accuracy: Test accuracy, as in the paper's table, or None.
        layers: In the order of the network, ``mean`` last.
    """

    arm: str
    method: str
    epoch: int
    accuracy: Interval | None
    layers: tuple[LayerCosine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterCosineByLayer(Tabular):
    """Filter cosine per layer of the arms on one dataset and model.

    Attributes:
        chance: Expected signed cosine of random filters.
        notes: Missing arms, in sentences.
    """

    study: str
    dataset: str
    model: str
    chance: float
    arms: tuple[ArmCosine, ...]
    notes: tuple[str, ...]

    def frame_rows(self) -> Iterator[Row]:
        """Yield a row per arm and layer."""
        for arm in self.arms:
            for layer in arm.layers:
                yield {
                    "arm": arm.arm,
                    "method": arm.method,
                    "layer": layer.layer,
                    "epoch": arm.epoch,
                    **interval_cells(layer.last),
                    "pair_std": layer.pair_std,
                    **interval_cells(layer.initial, "initial_"),
                    **interval_cells(layer.relative, "relative_"),
                    **difference_cells(layer.to_base, "base"),
                    "chance": self.chance,
                }


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterCosineCurves(Tabular):
    """Filter cosine over one dimension: a curve per layer, ``mean`` last."""

    study: str
    arm: str
    dimension: str
    chance: float
    curves: tuple[DimensionCurve, ...]

    def frame_rows(self) -> Iterator[Row]:
        """Yield the rows of the curves."""
        for curve in self.curves:
            yield from curve.frame_rows()


def filter_cosine(table: TrialTable, workload: Workload) -> FilterCosineByLayer:
    """Return the filter cosine per layer of every arm's chosen configuration.

    Raises:
        ReportError: If no arm has a completed final trial with 2 replicas and filter metrics.
    """
    arms, notes = read_arms(
        workload.arms, lambda arm: _arm_cosine(arm, require_chosen(table, arm))
    )
    if not arms:
        raise ReportError(
            f"study '{table.study}': filter cosine on {workload.dataset} needs an arm with a "
            f"completed final trial of at least 2 replicas, but there is none ({' '.join(notes)})"
        )
    return FilterCosineByLayer(
        study=table.study,
        dataset=workload.dataset,
        model=workload.model,
        chance=CHANCE_COSINE,
        arms=_with_differences(table, workload, tuple(arms.values())),
        notes=notes,
    )


def filter_cosine_over_dimension(
    table: TrialTable, arm: str, dimension: str
) -> FilterCosineCurves:
    """Return the filter cosine of each layer over the swept values of a dimension.

    Raises:
        ReportError: As :func:`sweep_curve`, or if the trials report no filter cosine.
    """
    chosen = require_chosen(table, require_arm(table, arm))
    return FilterCosineCurves(
        study=table.study,
        arm=arm,
        dimension=dimension,
        chance=CHANCE_COSINE,
        curves=tuple(
            sweep_curve(table, arm, dimension, _SIGNED + layer)
            for layer in _require_layers(chosen)
        ),
    )


def layers_of(row: TrialRow) -> tuple[str, ...]:
    """Return the layers whose filter cosine a trial reports, by number, ``mean`` last."""
    keys = {key for report in row.reports for key in report.metrics if key.startswith(_SIGNED)}
    return tuple(sorted((key.removeprefix(_SIGNED) for key in keys), key=_layer_order))


def _layer_order(layer: str) -> tuple[bool, str, int]:
    name = layer.rstrip("0123456789")
    return layer == MEAN_LAYER, name, int(layer[len(name) :] or 0)


def _require_layers(row: TrialRow) -> tuple[str, ...]:
    layers = layers_of(row)
    if not layers:
        raise ReportError(
            f"{row.phase} trial {row.number} of arm '{row.arm}' must report filter_cosine, but "
            f"has none; only models with convolution layers of 2 or more filters do."
        )
    return layers


def _arm_cosine(arm: ArmRow, row: TrialRow) -> ArmCosine:
    return ArmCosine(
        arm=arm.name,
        method=arm.method,
        epoch=row.reports[-1].epoch if row.reports else 0,
        accuracy=_optional_last(row, "test/accuracy"),
        layers=tuple(_layer_cosine(row, layer) for layer in _require_layers(row)),
    )


def _with_differences(
    table: TrialTable, workload: Workload, arms: tuple[ArmCosine, ...]
) -> tuple[ArmCosine, ...]:
    """Add the paired differences to Base; one family is one layer, over the arms."""
    base = control_of(table, workload.arms[0], "base")
    reference = None if base is None else table.chosen(base.name)
    if base is None or reference is None:
        return arms
    rows = {one.arm: table.chosen(one.arm) for one in arms if one.arm != base.name}
    found = {
        layer: correct_family(
            {
                name: seed_difference(last_values(row, metric), last_values(reference, metric))
                for name, row in rows.items()
                if row is not None and row.last(metric) is not None
            }
        )
        for layer in layers_of(reference)
        for metric in [_SIGNED + layer]
    }
    return tuple(
        replace(
            arm,
            layers=tuple(
                replace(one, to_base=found.get(one.layer, {}).get(arm.arm)) for one in arm.layers
            ),
        )
        for arm in arms
    )


def _layer_cosine(row: TrialRow, layer: str) -> LayerCosine:
    pair_std = _optional_last(row, f"filter_cosine_pair_std/{layer}")
    return LayerCosine(
        layer=layer,
        last=t_interval(last_values(row, _SIGNED + layer).values),
        initial=_optional_initial(row, _SIGNED + layer),
        pair_std=None if pair_std is None else pair_std.mean,
        relative=_optional_last(row, f"filter_cosine_relative/{layer}"),
    )


def _optional_last(row: TrialRow, metric: str) -> Interval | None:
    return None if row.last(metric) is None else t_interval(last_values(row, metric).values)


def _optional_initial(row: TrialRow, metric: str) -> Interval | None:
    try:
        return t_interval(initial_values(row, metric).values)
    except ReportError:
        return None


SIGNED = "filter_cosine"
RELATIVE = "filter_cosine_relative"


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochPoint:
    """One evaluation.

    Attributes:
        epoch: Epochs trained; 0 is the initialized model.
        level: Mean over the replicas.
        change: Mean change since initialization, replica by replica; None without an epoch 0.
        to_base: Paired difference to Base at the same epoch (this minus Base), Holm-corrected
            over the arms and epochs of the layer; None for Base itself, at epoch 0, where arms
            of one seed start from the same filters, and where Base has no value.
    """

    epoch: int
    level: Interval
    change: Interval | None
    to_base: CorrectedDifference | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochCurve:
    """One arm and layer over the epochs."""

    arm: str
    method: str
    points: tuple[EpochPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerOverEpochs:
    """One quantity of one layer, with a curve per arm.

    Attributes:
        layer: ``conv1``, …, or ``mean``.
        kind: ``filter_cosine`` (signed), or ``filter_cosine_relative``: mean |cosine| over its
            value for random filters.
        chance: Value for random filters: 0 and 1.
    """

    layer: str
    kind: str
    chance: float
    curves: tuple[EpochCurve, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CosineOverEpochs(Tabular):
    """The filter cosine during the training of every arm's chosen configuration.

    Attributes:
        replicas: Numbers of replicas that occur, in increasing order.
        layers: The mean over layers (signed), the same relative to chance, then every layer.
        notes: Missing arms, in sentences.
    """

    study: str
    dataset: str
    model: str
    replicas: tuple[int, ...]
    layers: tuple[LayerOverEpochs, ...]
    notes: tuple[str, ...]

    def frame_rows(self) -> Iterator[Row]:
        """Yield a row per layer, arm and epoch."""
        for layer in self.layers:
            for curve in layer.curves:
                for point in curve.points:
                    yield {
                        "arm": curve.arm,
                        "method": curve.method,
                        "layer": layer.layer,
                        "kind": layer.kind,
                        "chance": layer.chance,
                        "epoch": point.epoch,
                        **interval_cells(point.level),
                        **interval_cells(point.change, "since_initialization_"),
                        **difference_cells(point.to_base, "base"),
                    }


def cosine_over_epochs(table: TrialTable, workload: Workload) -> CosineOverEpochs:
    """Compute the filter cosine of every arm's chosen configuration over the epochs.

    Raises:
        ReportError: If no arm has a completed final trial with 2 replicas and filter metrics at
            two epochs.
    """
    found: dict[str, TrialRow] = {}
    notes = []
    for arm in workload.arms:
        try:
            row = require_chosen(table, arm)
        except ReportError as error:
            notes.append(str(error))
            continue
        if len(row.seeds) >= 2 and len(_reported_epochs(row, f"{SIGNED}/{MEAN_LAYER}")) >= 2:
            found[arm.name] = row
        else:
            notes.append(f"Arm '{arm.name}' has no filter cosine at two epochs or more.")
    if not found:
        raise ReportError(
            f"study '{table.study}': the filter cosine over epochs on {workload.dataset} needs an "
            f"arm with 2 replicas that reports it at two epochs, but there is none "
            f"({' '.join(notes)})"
        )
    rows = [(arm, found[arm.name]) for arm in workload.arms if arm.name in found]
    control = control_of(table, workload.arms[0], "base")
    base = None if control is None else found.get(control.name)
    layers = tuple(dict.fromkeys(layer for _, row in rows for layer in layers_of(row)))
    wanted = [(MEAN_LAYER, SIGNED, CHANCE_COSINE), (MEAN_LAYER, RELATIVE, 1.0)]
    wanted += [(layer, SIGNED, CHANCE_COSINE) for layer in layers if layer != MEAN_LAYER]
    return CosineOverEpochs(
        study=table.study,
        dataset=workload.dataset,
        model=workload.model,
        replicas=tuple(sorted({len(row.seeds) for _, row in rows})),
        layers=tuple(
            LayerOverEpochs(layer=layer, kind=kind, chance=chance, curves=curves)
            for layer, kind, chance in wanted
            if (curves := _epoch_curves(rows, f"{kind}/{layer}", base))
        ),
        notes=tuple(notes),
    )


def _epoch_curves(
    rows: list[tuple[ArmRow, TrialRow]], metric: str, base: TrialRow | None
) -> tuple[EpochCurve, ...]:
    differences = _differences([row for _, row in rows], metric, base)
    return tuple(
        EpochCurve(arm=arm.name, method=arm.method, points=points)
        for arm, row in rows
        if (points := _epoch_points(row, metric, differences))
    )


def _differences(
    rows: list[TrialRow], metric: str, base: TrialRow | None
) -> dict[tuple[str, int], CorrectedDifference]:
    """Return the paired difference to Base by arm and epoch, one family over both."""
    if base is None:
        return {}
    reference = _reported_epochs(base, metric)
    return correct_family(
        {
            (row.arm, epoch): seed_difference(
                _replicas(row, metric, values), _replicas(base, metric, reference[epoch])
            )
            for row in rows
            if row is not base
            for epoch, values in _reported_epochs(row, metric).items()
            if epoch > 0 and epoch in reference
        }
    )


def _replicas(row: TrialRow, metric: str, values: tuple[float, ...]) -> ReplicaValues:
    trial = f"{row.phase} trial {row.number} of arm '{row.arm}'"
    return ReplicaValues(trial=trial, metric=metric, seeds=row.seeds, values=values)


def _epoch_points(
    row: TrialRow,
    metric: str,
    differences: dict[tuple[str, int], CorrectedDifference],
) -> tuple[EpochPoint, ...]:
    by_epoch = _reported_epochs(row, metric)
    initial = by_epoch.get(0)
    return tuple(
        EpochPoint(
            epoch=epoch,
            level=t_interval(values),
            change=None
            if initial is None
            else t_interval([now - then for now, then in zip(values, initial, strict=True)]),
            to_base=differences.get((row.arm, epoch)),
        )
        for epoch, values in by_epoch.items()
    )


def _reported_epochs(row: TrialRow, metric: str) -> dict[int, tuple[float, ...]]:
    return {
        report.epoch: report.metrics[metric] for report in row.reports if metric in report.metrics
    }
