"""How alike the filters of each layer are: the paper's table 1, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

from study.errors import ReportError
from study.sensitivity.intervals import Interval, t_interval
from study.sensitivity.over_dimension import DimensionCurve, over_dimension
from study.sensitivity.replicas import initial_values, last_values
from study.sensitivity.settings import Setting, require_arm, require_chosen
from study.trial_table import ArmRow, TrialRow, TrialTable

MEAN_LAYER = "mean"
"""Name of the unweighted mean over the convolution layers, beside the layers' own."""

CHANCE = 0.0
"""Expected signed cosine of two independent random filters."""

_SIGNED = "filter_cosine/"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCosine:
    """Cosine similarity between the filters of one layer, over replicas.

    Attributes:
        layer: ``conv1``, …, or ``mean`` for the mean over layers.
        last: Signed mean over filter pairs at the last epoch.
        initial: The same of the freshly initialised model, or None.
        pair_std: Standard deviation over the layer's filter pairs at the last epoch, averaged
            over replicas (the number in brackets in the paper), or None.
        relative: Mean |cosine| over its value for random filters (1 is chance), or None.
    """

    layer: str
    last: Interval
    initial: Interval | None
    pair_std: float | None
    relative: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmCosine:
    """The layers of one arm's chosen configuration.

    Attributes:
        arm: Name of the arm.
        method: Method of the arm.
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
class FilterCosine:
    """Filter cosine per layer of the arms on one dataset and model.

    Attributes:
        study: Name of the study.
        dataset: Dataset, for people.
        model: Model, for people.
        chance: Signed cosine to expect of random filters.
        arms: In the order of the study file.
        notes: What is missing, in sentences.
    """

    study: str
    dataset: str
    model: str
    chance: float
    arms: tuple[ArmCosine, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterCosineCurves:
    """Filter cosine over one dimension: a curve per layer, ``mean`` last."""

    study: str
    arm: str
    dimension: str
    chance: float
    curves: tuple[DimensionCurve, ...]


def filter_cosine(table: TrialTable, setting: Setting) -> FilterCosine:
    """Give the filter cosine per layer of every arm's chosen configuration.

    Args:
        table: Trials of the study.
        setting: Dataset and model whose arms are shown together.

    Raises:
        ReportError: If no arm has a completed final trial with 2 replicas and filter metrics.
    """
    arms, notes = [], []
    for arm in setting.arms:
        try:
            arms.append(_arm_cosine(arm, require_chosen(table, arm)))
        except ReportError as error:
            notes.append(str(error))
    if not arms:
        raise ReportError(
            f"study '{table.study}': filter cosine on {setting.dataset} needs an arm with a "
            f"completed final trial of at least 2 replicas, but there is none ({' '.join(notes)})"
        )
    return FilterCosine(
        study=table.study,
        dataset=setting.dataset,
        model=setting.model,
        chance=CHANCE,
        arms=tuple(arms),
        notes=tuple(notes),
    )


def filter_cosine_over_dimension(
    table: TrialTable, arm: str, dimension: str
) -> FilterCosineCurves:
    """Give the filter cosine of each layer over the swept values of a dimension.

    Raises:
        ReportError: As ``over_dimension``, or if the trials report no filter cosine.
    """
    chosen = require_chosen(table, require_arm(table, arm))
    return FilterCosineCurves(
        study=table.study,
        arm=arm,
        dimension=dimension,
        chance=CHANCE,
        curves=tuple(
            over_dimension(table, arm, dimension, _SIGNED + layer)
            for layer in _require_layers(chosen)
        ),
    )


def layers_of(row: TrialRow) -> tuple[str, ...]:
    """Name the layers whose filter cosine a trial reports, by number, ``mean`` last."""
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
