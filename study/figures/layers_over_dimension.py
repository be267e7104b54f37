"""Filter cosine of each layer over one dimension: a small panel per layer, minus Base."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pandas as pd

from study.figures.amounts import difference_row, power_of_ten
from study.figures.figure import Figure, ReportSource, Subject, has_base, per_sweep
from study.figures.marks import (
    Axis,
    Panel,
    Plane,
    grid,
    levels,
    panel,
    rule_at,
    trend,
)
from study.figures.rendering import Chart
from study.figures.sweep_curve import (
    along,
    curve_looks,
    curve_notes,
    difference_frame,
    is_categorical,
    level_frame,
    mean_frame,
)
from study.sensitivity import (
    CONFIDENCE,
    MEAN_LAYER,
    DimensionCurve,
    FilterCosineCurves,
    arm_label,
    dimension_symbol,
    filter_cosine_over_dimension,
)

_INTERVAL = f"{CONFIDENCE:.0%} Student's t interval"


def chart(record: FilterCosineCurves) -> Chart:
    """Draw the difference to Base of every layer, their mean first; without Base the levels."""
    if not any(map(_has_base, record.curves)):
        return level_chart(record)
    factor, unit = _unit(record)
    panels = [_difference(curve, factor, unit) for curve in _by_layer(record) if _has_base(curve)]
    return grid(panels, columns=5, least=150)


def level_chart(record: FilterCosineCurves) -> Chart:
    """Draw the level of every layer with those of the controls, their mean first."""
    panels = [_level(curve, record.chance) for curve in _by_layer(record)]
    return grid(panels, columns=5, least=150)


def caption(record: FilterCosineCurves) -> str:
    """Write n, interval, family and unit."""
    curve = record.curves[0]
    if not _has_base(curve):
        return level_caption(record)
    _, unit = _unit(record)
    others = [c for c in curve.controls if c.to_base]
    across = " and ".join(arm_label(c.arm, c.method) for c in others)
    sentences = [
        _what(record),
        f"{arm_label(curve.arm, curve.method)} minus Base over replicas with the same seed"
        f"{f', in units of {unit}' if unit else ''}; bands: {_INTERVAL}, not widened for the "
        f"number of values; filled: p < 0.05 after Holm's correction over the "
        f"{len(curve.points)} values of a layer.",
        f"Line across: {across} minus Base." if across else "",
        "Vertical axes differ.",
        *_curve_notes(record),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def level_caption(record: FilterCosineCurves) -> str:
    """Write n, interval and chance."""
    sentences = (
        _what(record),
        f"Bands: {_INTERVAL} of the mean. Dotted: random filters, {record.chance:g}. Vertical "
        "axes differ.",
        *_curve_notes(record),
    )
    return " ".join(sentences)


def _what(record: FilterCosineCurves) -> str:
    return (
        f"Mean signed cosine between the filters of a layer after training (lower: more diverse) "
        f"over {dimension_symbol(record.dimension)}, n = {record.curves[0].n} replicas on fresh "
        "seeds."
    )


def _curve_notes(record: FilterCosineCurves) -> Iterable[str]:
    return dict.fromkeys(note for one in record.curves for note in one.notes)


def _by_layer(record: FilterCosineCurves) -> list[DimensionCurve]:
    return sorted(record.curves, key=lambda curve: _layer(curve) != MEAN_LAYER)


def layer_title(layer: str) -> str:
    """Return the title of a layer's panel."""
    return "Mean over layers" if layer == MEAN_LAYER else layer


def _layer(curve: DimensionCurve) -> str:
    return curve.metric.rpartition("/")[2]


def _has_base(curve: DimensionCurve) -> bool:
    return any(point.to_base for point in curve.points)


def _unit(record: FilterCosineCurves) -> tuple[float, str]:
    return power_of_ten(
        point.to_base.difference.interval.mean
        for curve in record.curves
        for point in curve.points
        if point.to_base
    )


def _difference(curve: DimensionCurve, factor: float, unit: str) -> Panel:
    plane = Plane(
        x=along(curve, dimension_symbol(curve.dimension)),
        y=Axis(is_signed=True),
        looks=curve_looks(curve),
    )
    frame = difference_frame(curve, factor, unit)
    return panel(
        levels(_controls(curve, factor, unit), plane),
        rule_at(0.0, plane),
        trend(frame, plane, is_joined=not is_categorical(curve), size=34),
        title=layer_title(_layer(curve)),
        unit=f"minus Base, in {unit}".removesuffix(", in "),
        height=110,
    )


def _level(curve: DimensionCurve, chance: float) -> Panel:
    plane = Plane(
        x=along(curve, dimension_symbol(curve.dimension)), y=Axis(), looks=curve_looks(curve)
    )
    frame = mean_frame(curve)
    return panel(
        rule_at(chance, plane, style="chance"),
        levels(level_frame(curve), plane),
        trend(frame, plane, is_joined=not is_categorical(curve), size=34),
        title=layer_title(_layer(curve)),
        unit="level",
        height=110,
    )


def _controls(curve: DimensionCurve, factor: float, unit: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            difference_row(control.to_base, factor, unit, where=f"{name} − Base", arm=name)
            for control in curve.controls
            if control.to_base and (name := arm_label(control.arm, control.method))
        ]
    )


def _notes(record: FilterCosineCurves) -> tuple[str, ...]:
    return curve_notes(record.curves)


FIGURE = Figure(
    subjects=per_sweep("filter cosine over", "filter-cosine-over", filter_cosine_over_dimension),
    chart=chart,
    caption=caption,
    place="filters",
    notes=_notes,
)


def _level_subjects(source: ReportSource) -> Iterator[Subject]:
    """Return the sweeps of arms that have a Base, whose main figure is the difference to it."""
    subjects = per_sweep(
        "levels of the filter cosine over",
        "filter-cosine-levels-over",
        filter_cosine_over_dimension,
    )
    for subject in subjects(source):
        if has_base(source.table, subject.arms[0]):
            yield subject


LEVELS = Figure(
    subjects=_level_subjects,
    chart=level_chart,
    caption=level_caption,
    place="filters",
    is_folded=True,
)
