"""Filter cosine of each layer after training, arms minus Base: the paper's table 1 as a figure."""

from __future__ import annotations

import altair as alt
import pandas as pd

from study.figures.amounts import difference_row, interval_row, measured, power_of_ten
from study.figures.figure import Figure, per_workload
from study.figures.marks import Axis, Panel, Plane, bars, grid, panel, points, rule_at, stack
from study.figures.rendering import Chart
from study.figures.theme import Look, distinct_looks
from study.sensitivity import CONFIDENCE, MEAN_LAYER, FilterCosineByLayer, arm_label, filter_cosine

_FIRST = " at first"


def chart(record: FilterCosineByLayer) -> Chart:
    """Draw the differences per layer and arm with intervals; below, levels and their start."""
    looks = dict(
        zip(
            (arm_label(arm.arm, arm.method) for arm in record.arms),
            distinct_looks([arm.method for arm in record.arms]),
            strict=True,
        )
    )
    layers = dict.fromkeys(one.layer for arm in record.arms for one in arm.layers)
    names = tuple(sorted(layers, key=lambda name: name == MEAN_LAYER))
    factor, unit = _unit(record)
    below = _differences(record, factor, unit)
    shown = [_levels(record, names, looks)]
    if not below.empty:
        plane = Plane(x=Axis(names=names), y=Axis(is_signed=True), looks=looks)
        title = f"minus Base, in {unit}".removesuffix(", in ")
        above = panel(
            rule_at(0.0, plane),
            bars(below, plane, offset=_offset(list(looks))),
            points(below, plane, offset=_offset(list(looks))),
            title="Filter cosine after training",
            unit=title,
            height=150,
        )
        shown = [above, *shown]
    return grid([stack(*shown)], columns=1, least=200)


def caption(record: FilterCosineByLayer) -> str:
    """Write n, interval, epoch, family, initialization, chance and missing arms."""
    counts = sorted({layer.last.n for arm in record.arms for layer in arm.layers})
    epochs = sorted({arm.epoch for arm in record.arms})
    _, unit = _unit(record)
    has_base = any(one.to_base for arm in record.arms for one in arm.layers)
    sentences = [
        f"Filter cosine on {record.dataset}, {record.model}: signed cosine over all pairs of a "
        f"layer's filters after {' or '.join(map(str, epochs))} epochs; n = "
        f"{' or '.join(map(str, counts))} replicas, bars: {CONFIDENCE:.0%} Student's t interval. "
        f"Lower means more diverse filters. 'mean' is the unweighted mean over layers.",
        f"Above: arm minus Base over replicas with the same seed"
        f"{f', in units of {unit}' if unit else ''}; filled: p < 0.05 after Holm's correction "
        f"over the arms of a layer. Below:"
        if has_base
        else "Drawn:",
        "levels, filled after training and open at initialization; dotted: random filters.",
    ]
    return " ".join((*sentences, *record.notes))


def _unit(record: FilterCosineByLayer) -> tuple[float, str]:
    return power_of_ten(
        one.to_base.difference.interval.mean
        for arm in record.arms
        for one in arm.layers
        if one.to_base
    )


def _offset(slots: list[str], field: str = "arm") -> alt.XOffset:
    """Return the positions of the arms within a layer."""
    scale = alt.Scale(domain=slots, paddingInner=0.4, paddingOuter=0.6)
    return alt.XOffset(f"{field}:N", scale=scale)


def _differences(record: FilterCosineByLayer, factor: float, unit: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            difference_row(
                one.to_base,
                factor,
                unit,
                arm=(label := arm_label(arm.arm, arm.method)),
                x=one.layer,
                where=f"{label} − Base, {one.layer}",
            )
            for arm in record.arms
            for one in arm.layers
            if one.to_base
        ]
    )


def _levels(record: FilterCosineByLayer, names: tuple[str, ...], looks: dict[str, Look]) -> Panel:
    plane = Plane(x=Axis(names=names), y=Axis(), looks=looks)
    frame = pd.DataFrame(
        [
            interval_row(
                interval,
                1.0,
                arm=(label := arm_label(arm.arm, arm.method)),
                slot=label + when,
                x=one.layer,
                is_filled=not when,
                told=f"{label}, {one.layer}{when}\n{measured(interval, 'filter_cosine/mean')}",
            )
            for arm in record.arms
            for one in arm.layers
            for interval, when in ((one.initial, _FIRST), (one.last, ""))
            if interval is not None
        ]
    )
    slots = [f"{name}{when}" for name in looks for when in (_FIRST, "")]
    offset = _offset(slots, "slot")
    return panel(
        rule_at(record.chance, plane, style="chance"),
        bars(frame, plane, offset=offset),
        points(frame, plane, offset=offset, size=30),
        unit="level: mean signed cosine",
        height=130,
    )


FIGURE = Figure(
    subjects=per_workload("Filter cosine", "filter-cosine", filter_cosine),
    chart=chart,
    caption=caption,
    place="filters",
)
