"""Filter cosine of each layer during training: a small panel per layer, arms minus Base."""

from __future__ import annotations

import pandas as pd

from study.figures.amounts import difference_row, interval_row, measured, power_of_ten
from study.figures.figure import Figure, per_workload
from study.figures.layers_over_dimension import layer_title
from study.figures.marks import Axis, Panel, Plane, grid, panel, rule_at, trend
from study.figures.rendering import Chart
from study.figures.theme import Look, looks_by_arm
from study.sensitivity import (
    CONFIDENCE,
    MEAN_LAYER,
    CosineOverEpochs,
    LayerOverEpochs,
    arm_label,
    cosine_over_epochs,
)

_SIGNED = "filter_cosine"


def chart(record: CosineOverEpochs) -> Chart:
    """Draw the differences to Base of every layer, and at last the levels of their mean.

    Without Base the levels of all layers are drawn.
    """
    looks = _looks(record)
    factor, unit = _unit(record)
    signed = [one for one in record.layers if one.kind == _SIGNED]
    panels = [_difference(one, looks, factor, unit) for one in signed if _has_base(one)]
    shown = [one for one in record.layers if one.layer == MEAN_LAYER] if panels else record.layers
    panels += [_level(one, looks) for one in shown]
    return grid(panels, columns=4, least=150)


def caption(record: CosineOverEpochs) -> str:
    """Write n, interval, family, unit, chance and the meaning of epoch 0."""
    counts = " or ".join(map(str, record.replicas))
    _, unit = _unit(record)
    sentences = [
        f"Filter cosine on {record.dataset}, {record.model}, during the training of each arm's "
        f"chosen configuration: n = {counts} replicas on fresh seeds, bands: {CONFIDENCE:.0%} "
        f"Student's t interval. Epoch 0 is the freshly initialized model. Lower means more "
        f"diverse filters."
    ]
    if any(map(_has_base, record.layers)):
        sentences.append(
            f"Arm minus Base over replicas with the same seed"
            f"{f', in units of {unit}' if unit else ''}; filled: p < 0.05 after Holm's correction "
            f"over arms and epochs of a layer. Vertical axes differ. Last panels: levels; "
            f"relative: mean |cosine| over its value for random filters; dotted: random filters."
        )
    else:
        sentences.append("Relative: mean |cosine| over its value for random filters (dotted).")
    return " ".join((*sentences, *record.notes))


def _has_base(one: LayerOverEpochs) -> bool:
    return any(point.to_base for curve in one.curves for point in curve.points)


def _unit(record: CosineOverEpochs) -> tuple[float, str]:
    return power_of_ten(
        point.to_base.difference.interval.mean
        for one in record.layers
        if one.kind == _SIGNED
        for curve in one.curves
        for point in curve.points
        if point.to_base
    )


def _looks(record: CosineOverEpochs) -> dict[str, Look]:
    pairs = [(c.arm, c.method) for one in record.layers for c in one.curves]
    looks = looks_by_arm(pairs)
    return {arm_label(arm, method): looks[arm] for arm, method in pairs}


def _difference(one: LayerOverEpochs, looks: dict[str, Look], factor: float, unit: str) -> Panel:
    plane = Plane(x=Axis(title="Epoch", is_integer=True), y=Axis(is_signed=True), looks=looks)
    rows = []
    for curve in one.curves:
        label = arm_label(curve.arm, curve.method)
        own = [point for point in curve.points if point.to_base]
        if own and curve.points[0].epoch == 0:
            # Arms of one seed start from the same filters.
            start = {"y": 0.0, "low": 0.0, "high": 0.0, "is_filled": False}
            rows.append({"arm": label, "x": 0, **start, "told": "no difference at the start"})
        rows += [
            difference_row(
                point.to_base,
                factor,
                unit,
                where=f"{label} − Base, epoch {point.epoch}",
                arm=label,
                x=point.epoch,
            )
            for point in own
            if point.to_base
        ]
    title = f"minus Base, in {unit}".removesuffix(", in ")
    return panel(
        rule_at(0.0, plane),
        trend(pd.DataFrame(rows), plane, size=26),
        title=layer_title(one.layer),
        unit=title,
        height=110,
    )


def _level(one: LayerOverEpochs, looks: dict[str, Look]) -> Panel:
    plane = Plane(x=Axis(title="Epoch", is_integer=True), y=Axis(), looks=looks)
    frame = pd.DataFrame(
        [
            interval_row(
                point.level,
                1.0,
                arm=(label := arm_label(curve.arm, curve.method)),
                x=point.epoch,
                told=f"{label}, epoch {point.epoch}\n{measured(point.level, one.kind + '/mean')}",
            )
            for curve in one.curves
            for point in curve.points
        ]
    )
    return panel(
        rule_at(one.chance, plane, style="chance"),
        trend(frame, plane, size=26),
        title=layer_title(one.layer),
        unit="level" if one.kind == _SIGNED else "relative to chance",
        height=110,
    )


FIGURE = Figure(
    subjects=per_workload(
        "Filter cosine during training", "filter-cosine-over-epochs", cosine_over_epochs
    ),
    chart=chart,
    caption=caption,
    place="filters",
)
