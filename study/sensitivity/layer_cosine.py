"""Filter cosine per layer: after training, over a dimension and over the epochs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from study.records.errors import ReportError
from study.records.frames import Row, Tabular
from study.records.trial_table import ArmRow, TrialRow, TrialTable
from study.sensitivity.intervals import (
    CorrectedDifference,
    Interval,
    ReplicaValues,
    curve_differences,
    describe_trial,
    difference_cells,
    differences_to,
    initial_values,
    interval_cells,
    last_values,
    t_interval,
)
from study.sensitivity.sweep_curves import DimensionCurve, sweep_curve
from study.sensitivity.workloads import (
    Workload,
    control_of,
    read_arms,
    require_arm,
    require_chosen,
    require_replicated,
)

MEAN_LAYER = "mean"
"""Name of the unweighted mean over the convolution layers."""

SIGNED, RELATIVE = "filter_cosine", "filter_cosine_relative"
"""Kinds: the signed cosine, and the mean |cosine| over its value for random filters."""

CHANCE = {SIGNED: 0.0, RELATIVE: 1.0}
"""Expected value of independent random filters."""


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
    to_base: CorrectedDifference | None


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
    found, notes = read_arms(workload.arms, partial(_layer_values, table))
    if not found:
        raise ReportError(
            f"study '{table.study}': filter cosine on {workload.dataset} needs an arm with a "
            f"completed final trial of at least 2 replicas, but there is none ({' '.join(notes)})"
        )
    base = control_of(table, workload.arms[0], "base")
    reference = {} if base is None else found.get(base.name, {})
    others = {arm: values for arm, values in found.items() if values is not reference}
    to_base = {
        layer: differences_to(
            values, {arm: each[layer] for arm, each in others.items() if layer in each}
        )
        for layer, values in reference.items()
    }
    return FilterCosineByLayer(
        study=table.study,
        dataset=workload.dataset,
        model=workload.model,
        chance=CHANCE[SIGNED],
        arms=tuple(
            _arm_cosine(table, arm, found[arm.name], to_base)
            for arm in workload.arms
            if arm.name in found
        ),
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
        chance=CHANCE[SIGNED],
        curves=tuple(
            sweep_curve(table, arm, dimension, f"{SIGNED}/{layer}")
            for layer in _require_layers(chosen)
        ),
    )


def _layers_of(row: TrialRow) -> tuple[str, ...]:
    """Return the layers whose filter cosine a trial reports, by number, ``mean`` last."""
    keys = (key.split("/", 1) for report in row.reports for key in report.metrics if "/" in key)
    return tuple(sorted({layer for kind, layer in keys if kind == SIGNED}, key=_layer_order))


def _layer_order(layer: str) -> tuple[bool, str, int]:
    name = layer.rstrip("0123456789")
    return layer == MEAN_LAYER, name, int(layer[len(name) :] or 0)


def _require_layers(row: TrialRow) -> tuple[str, ...]:
    layers = _layers_of(row)
    if not layers:
        raise ReportError(
            f"{describe_trial(row)} must report filter_cosine, but has none; only models with "
            f"convolution layers of 2 or more filters do."
        )
    return layers


def _layer_values(table: TrialTable, arm: ArmRow) -> dict[str, ReplicaValues]:
    row = require_replicated(table, arm)
    return {layer: last_values(row, f"{SIGNED}/{layer}") for layer in _require_layers(row)}


def _arm_cosine(
    table: TrialTable,
    arm: ArmRow,
    layers: Mapping[str, ReplicaValues],
    to_base: Mapping[str, Mapping[str, CorrectedDifference]],
) -> ArmCosine:
    row = require_chosen(table, arm)

    def layer_cosine(layer: str, values: ReplicaValues) -> LayerCosine:
        pair_std = _optional_last(row, f"filter_cosine_pair_std/{layer}")
        return LayerCosine(
            layer=layer,
            last=t_interval(values.values),
            initial=_optional_initial(row, f"{SIGNED}/{layer}"),
            pair_std=None if pair_std is None else pair_std.mean,
            relative=_optional_last(row, f"{RELATIVE}/{layer}"),
            to_base=to_base.get(layer, {}).get(arm.name),
        )

    return ArmCosine(
        arm=arm.name,
        method=arm.method,
        epoch=row.reports[-1].epoch,
        accuracy=_optional_last(row, "test/accuracy"),
        layers=tuple(layer_cosine(*each) for each in layers.items()),
    )


def _optional_last(row: TrialRow, metric: str) -> Interval | None:
    return None if row.last(metric) is None else t_interval(last_values(row, metric).values)


def _optional_initial(row: TrialRow, metric: str) -> Interval | None:
    try:
        return t_interval(initial_values(row, metric).values)
    except ReportError:
        return None


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
    to_base: CorrectedDifference | None


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
        kind: SIGNED or RELATIVE.
        chance: Value for random filters.
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
    found, notes = read_arms(workload.arms, partial(_require_epochs, table))
    if not found:
        raise ReportError(
            f"study '{table.study}': the filter cosine over epochs on {workload.dataset} needs an "
            f"arm with 2 replicas that reports it at two epochs, but there is none "
            f"({' '.join(notes)})"
        )
    control = control_of(table, workload.arms[0], "base")
    base = None if control is None else control.name
    layers = dict.fromkeys(layer for row in found.values() for layer in _layers_of(row))
    wanted = [(MEAN_LAYER, SIGNED), (MEAN_LAYER, RELATIVE)]
    wanted += [(layer, SIGNED) for layer in layers if layer != MEAN_LAYER]
    curves = {
        (layer, kind): _epoch_curves(table, found, f"{kind}/{layer}", base)
        for layer, kind in wanted
    }
    return CosineOverEpochs(
        study=table.study,
        dataset=workload.dataset,
        model=workload.model,
        replicas=tuple(sorted({len(row.seeds) for row in found.values()})),
        layers=tuple(
            LayerOverEpochs(layer=layer, kind=kind, chance=CHANCE[kind], curves=each)
            for (layer, kind), each in curves.items()
            if each
        ),
        notes=notes,
    )


def _require_epochs(table: TrialTable, arm: ArmRow) -> TrialRow:
    row = require_replicated(table, arm)
    if len(_by_epoch(row, f"{SIGNED}/{MEAN_LAYER}")) < 2:
        raise ReportError(f"Arm '{arm.name}' has no filter cosine at two epochs or more.")
    return row


def _by_epoch(row: TrialRow, metric: str) -> dict[int, ReplicaValues]:
    return {
        report.epoch: ReplicaValues.of(row, metric, report.metrics[metric])
        for report in row.reports
        if metric in report.metrics
    }


def _epoch_curves(
    table: TrialTable, rows: Mapping[str, TrialRow], metric: str, base: str | None
) -> tuple[EpochCurve, ...]:
    curves = {arm: _by_epoch(row, metric) for arm, row in rows.items()}
    to_base = curve_differences(curves, base)
    return tuple(
        EpochCurve(
            arm=arm,
            method=table.arm(arm).method,
            points=tuple(
                EpochPoint(
                    epoch=epoch,
                    level=t_interval(values.values),
                    change=_change(curve.get(0), values),
                    to_base=to_base.get((arm, epoch)),
                )
                for epoch, values in curve.items()
            ),
        )
        for arm, curve in curves.items()
        if curve
    )


def _change(initial: ReplicaValues | None, now: ReplicaValues) -> Interval | None:
    if initial is None:
        return None
    return t_interval([b - a for a, b in zip(initial.values, now.values, strict=True)])
