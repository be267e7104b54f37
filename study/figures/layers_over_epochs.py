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
    CosineOverEpochs,
    LayerOverEpochs,
    arm_label,
    cosine_over_epochs,
    workloads_with_base,
)

_SIGNED = "filter_cosine"


def chart(record: CosineOverEpochs) -> Chart:
    """Draw the differences to Base of every layer; without Base the levels."""
    factor, unit = _unit(record)
    signed = [one for one in record.layers if one.kind == _SIGNED]
    looks = _looks(record)
    panels = [_difference(one, looks, factor, unit) for one in signed if _has_base(one)]
    return grid(panels, columns=5, least=150) if panels else level_chart(record)


def level_chart(record: CosineOverEpochs) -> Chart:
    """Draw the levels of every layer, signed and relative to chance."""
    panels = [_level(one, _looks(record)) for one in record.layers]
    return grid(panels, columns=5, least=150)


def caption(record: CosineOverEpochs) -> str:
    """Write n, interval, family, unit and the meaning of epoch 0."""
    if not any(map(_has_base, record.layers)):
        return level_caption(record)
    _, unit = _unit(record)
    paired = (
        f"Arm minus Base over replicas with the same seed"
        f"{f', in units of {unit}' if unit else ''}; filled: p < 0.05 after Holm's correction "
        f"over arms and epochs of a layer. Vertical axes differ."
    )
    return " ".join((_what(record), paired, *record.notes))


def level_caption(record: CosineOverEpochs) -> str:
    """Write n, interval, chance and the meaning of epoch 0."""
    relative = "Relative: mean |cosine| over its value for random filters. Dotted: random filters."
    return " ".join((_what(record), relative, *record.notes))


def _what(record: CosineOverEpochs) -> str:
    counts = " or ".join(map(str, record.replicas))
    return (
        f"Filter cosine on {record.dataset}, {record.model}, during the training of each arm's "
        f"chosen configuration: n = {counts} replicas on fresh seeds, bands: {CONFIDENCE:.0%} "
        f"Student's t interval. Epoch 0 is the freshly initialized model. Lower means more "
        f"diverse filters."
    )


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

LEVELS = Figure(
    subjects=per_workload(
        "Levels of the filter cosine during training",
        "filter-cosine-levels-over-epochs",
        cosine_over_epochs,
        workloads_with_base,
    ),
    chart=level_chart,
    caption=level_caption,
    place="filters",
    is_folded=True,
)
