"""Filter cosine of each layer after training, arms minus Base: the paper's table 1 as a figure."""

from __future__ import annotations

import altair as alt
import pandas as pd

from study.figures.amounts import difference_row, interval_row, measured, power_of_ten
from study.figures.figure import Figure, per_workload
from study.figures.marks import Axis, Panel, Plane, bars, grid, panel, points, rule_at
from study.figures.rendering import Chart
from study.figures.theme import Look, looks_by_arm
from study.sensitivity import (
    CONFIDENCE,
    MEAN_LAYER,
    FilterCosineByLayer,
    arm_label,
    filter_cosine,
    workloads_with_base,
)

_FIRST = " at first"


def chart(record: FilterCosineByLayer) -> Chart:
    """Draw the differences per layer and arm with intervals; without Base the levels."""
    factor, unit = _unit(record)
    frame = _differences(record, factor, unit)
    if frame.empty:
        return level_chart(record)
    looks = {name: one for name, one in _looks(record).items() if name in set(frame["arm"])}
    plane = Plane(x=Axis(names=_names(record)), y=Axis(is_signed=True), looks=looks)
    shown = panel(
        rule_at(0.0, plane),
        bars(frame, plane, offset=_offset(list(looks))),
        points(frame, plane, offset=_offset(list(looks))),
        unit=f"minus Base, in {unit}".removesuffix(", in "),
        height=180,
    )
    return grid([shown], columns=1, least=200)


def level_chart(record: FilterCosineByLayer) -> Chart:
    """Draw the levels per layer and arm with intervals, after training and at initialization."""
    return grid([_levels(record, _names(record), _looks(record))], columns=1, least=200)


def _names(record: FilterCosineByLayer) -> tuple[str, ...]:
    layers = dict.fromkeys(one.layer for arm in record.arms for one in arm.layers)
    return tuple(sorted(layers, key=lambda name: name == MEAN_LAYER))


def _looks(record: FilterCosineByLayer) -> dict[str, Look]:
    looks = looks_by_arm((arm.arm, arm.method) for arm in record.arms)
    return {arm_label(arm.arm, arm.method): looks[arm.arm] for arm in record.arms}


def caption(record: FilterCosineByLayer) -> str:
    """Write n, interval, epoch, family and missing arms."""
    if not any(one.to_base for arm in record.arms for one in arm.layers):
        return level_caption(record)
    _, unit = _unit(record)
    paired = (
        f"Arm minus Base over replicas with the same seed"
        f"{f', in units of {unit}' if unit else ''}; filled: p < 0.05 after Holm's correction "
        f"over the arms of a layer."
    )
    return " ".join((_what(record), paired, *record.notes))


def level_caption(record: FilterCosineByLayer) -> str:
    """Write n, interval, epoch, initialization, chance and missing arms."""
    drawn = "Filled after training and open at initialization; dotted: random filters."
    return " ".join((_what(record), drawn, *record.notes))


def _what(record: FilterCosineByLayer) -> str:
    counts = sorted({layer.last.n for arm in record.arms for layer in arm.layers})
    epochs = sorted({arm.epoch for arm in record.arms})
    return (
        f"Filter cosine on {record.dataset}, {record.model}: signed cosine over all pairs of a "
        f"layer's filters after {' or '.join(map(str, epochs))} epochs; n = "
        f"{' or '.join(map(str, counts))} replicas, bars: {CONFIDENCE:.0%} Student's t interval. "
        f"Lower means more diverse filters. 'mean' is the unweighted mean over layers."
    )


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
        unit="mean signed cosine",
        height=180,
    )


FIGURE = Figure(
    subjects=per_workload("Filter cosine after training", "filter-cosine", filter_cosine),
    chart=chart,
    caption=caption,
    place="filters",
)

LEVELS = Figure(
    subjects=per_workload(
        "Levels of the filter cosine after training",
        "filter-cosine-levels",
        filter_cosine,
        workloads_with_base,
    ),
    chart=level_chart,
    caption=level_caption,
    place="filters",
    is_folded=True,
)
