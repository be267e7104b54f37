"""How the filters of each layer turn during training, from initialisation on."""

from __future__ import annotations

from dataclasses import dataclass

from study.errors import ReportError
from study.sensitivity.filter_cosine import CHANCE, MEAN_LAYER, layers_of
from study.sensitivity.intervals import Interval, t_interval
from study.sensitivity.settings import Setting, require_chosen
from study.trial_table import ArmRow, TrialRow, TrialTable

SIGNED = "filter_cosine"
RELATIVE = "filter_cosine_relative"


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochPoint:
    """One evaluation.

    Attributes:
        epoch: Epochs trained; 0 is the freshly initialised model.
        level: Mean over the replicas.
        change: Mean change since initialisation, replica by replica; None without an epoch 0.
    """

    epoch: int
    level: Interval
    change: Interval | None


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
        chance: Its value for random filters: 0 and 1.
        curves: In the order of the arms.
    """

    layer: str
    kind: str
    chance: float
    curves: tuple[EpochCurve, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CosineOverEpochs:
    """The filter cosine during the training of every arm's chosen configuration.

    Attributes:
        study: Name of the study.
        dataset: Dataset, for people.
        model: Model, for people.
        replicas: Numbers of replicas that occur, in order.
        layers: The mean over layers (signed), the same relative to chance, then every layer.
        notes: What is missing, in sentences.
    """

    study: str
    dataset: str
    model: str
    replicas: tuple[int, ...]
    layers: tuple[LayerOverEpochs, ...]
    notes: tuple[str, ...]


def cosine_over_epochs(table: TrialTable, setting: Setting) -> CosineOverEpochs:
    """Follow the filter cosine of every arm's chosen configuration over the epochs.

    Raises:
        ReportError: If no arm has a completed final trial with 2 replicas and filter metrics at
            two epochs.
    """
    found: dict[str, TrialRow] = {}
    notes = []
    for arm in setting.arms:
        try:
            row = require_chosen(table, arm)
        except ReportError as error:
            notes.append(str(error))
            continue
        if len(row.seeds) >= 2 and len(_epochs(row, f"{SIGNED}/{MEAN_LAYER}")) >= 2:
            found[arm.name] = row
        else:
            notes.append(f"Arm '{arm.name}' has no filter cosine at two epochs or more.")
    if not found:
        raise ReportError(
            f"study '{table.study}': the filter cosine over epochs on {setting.dataset} needs an "
            f"arm with 2 replicas that reports it at two epochs, but there is none "
            f"({' '.join(notes)})"
        )
    rows = [(arm, found[arm.name]) for arm in setting.arms if arm.name in found]
    layers = tuple(dict.fromkeys(layer for _, row in rows for layer in layers_of(row)))
    wanted = [(MEAN_LAYER, SIGNED, CHANCE), (MEAN_LAYER, RELATIVE, 1.0)]
    wanted += [(layer, SIGNED, CHANCE) for layer in layers if layer != MEAN_LAYER]
    return CosineOverEpochs(
        study=table.study,
        dataset=setting.dataset,
        model=setting.model,
        replicas=tuple(sorted({len(row.seeds) for _, row in rows})),
        layers=tuple(
            LayerOverEpochs(layer=layer, kind=kind, chance=chance, curves=curves)
            for layer, kind, chance in wanted
            if (curves := _curves(rows, f"{kind}/{layer}"))
        ),
        notes=tuple(notes),
    )


def _curves(rows: list[tuple[ArmRow, TrialRow]], metric: str) -> tuple[EpochCurve, ...]:
    return tuple(
        EpochCurve(arm=arm.name, method=arm.method, points=points)
        for arm, row in rows
        if (points := _points(row, metric))
    )


def _points(row: TrialRow, metric: str) -> tuple[EpochPoint, ...]:
    by_epoch = _epochs(row, metric)
    initial = by_epoch.get(0)
    return tuple(
        EpochPoint(
            epoch=epoch,
            level=t_interval(values),
            change=None
            if initial is None
            else t_interval([now - then for now, then in zip(values, initial, strict=True)]),
        )
        for epoch, values in by_epoch.items()
    )


def _epochs(row: TrialRow, metric: str) -> dict[int, tuple[float, ...]]:
    return {
        report.epoch: report.metrics[metric] for report in row.reports if metric in report.metrics
    }
