"""Metrics over one dimension with replicas and controls, and the paired difference below."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from study.figures.amounts import difference_row, interval_row, measured, p_value, plain, rounded
from study.figures.figure import Figure, per_sweep
from study.figures.marks import (
    DAGGER,
    Axis,
    Panel,
    Plane,
    bars,
    daggers,
    dots,
    grid,
    levels,
    panel,
    points,
    rings,
    rule_at,
    stack,
    trend,
)
from study.figures.rendering import Chart
from study.figures.theme import Look, looks_by_arm
from study.records.trial_table import TrialTable
from study.sensitivity import (
    CONFIDENCE,
    POWER,
    DimensionCurve,
    arm_label,
    detectable_difference,
    dimension_axis,
    dimension_symbol,
    metric_label,
    sweep_curve,
)

METRICS = ("test/accuracy", "test/auc")
"""The panels of a curve over a dimension, as in the paper's figure 4."""

_MOST_TICKS = 12


def chart(curves: Sequence[DimensionCurve]) -> Chart:
    """Draw a column per metric: means, replicas and controls; below, this arm minus Base.

    Args:
        curves: Curves of one arm over one dimension, at least one; usually accuracy and AUC.
    """
    return grid([_column(curve) for curve in curves], columns=len(curves), least=280)


def caption(curves: Sequence[DimensionCurve]) -> str:
    """Write n, interval, the other parameters, and missing values."""
    curve = curves[0]
    mark = "bars" if is_categorical(curve) else "band"
    controls = " and ".join(arm_label(c.arm, c.method) for c in curve.controls)
    family = len(curve.points)
    fixed = ", ".join(
        f"{dimension_symbol(name)}\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{plain(value)}"
        for name, value in curve.fixed.items()
    )
    sentences = [
        f"{arm_label(curve.arm, curve.method)} over {dimension_symbol(curve.dimension)}: mean of "
        f"n = {curve.n} replicas on fresh seeds (dots), {mark}: {CONFIDENCE:.0%} Student's t "
        f"interval of the mean.",
        f"Lines across: {controls}, same seeds, same interval." if controls else "",
        f"Below: minus Base over replicas with the same seed, same interval; filled: p < 0.05 "
        f"after Holm's correction over {family} values."
        if any(point.to_base for point in curve.points)
        else "",
        f"Ring: the value that the search chose ({plain(curve.chosen)}).",
        f"All else fixed at {fixed}." if fixed else "",
        *(_averaged_sentence(one) for one in curves),
        chance_note(
            (f"{dimension_symbol(curve.dimension)} = {plain(point.value)}", point.at_chance)
            for point in curve.points
        ),
        *curve.notes,
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def chance_note(found: Iterable[tuple[str, tuple[int, ...]]]) -> str:
    """Return what a dagger says: where replicas, given by their seeds, ended at chance."""
    listed = [f"{where} (seeds {', '.join(map(str, seeds))})" for where, seeds in found if seeds]
    if not listed:
        return ""
    return (
        f"{DAGGER}: replicas ended at chance, so that the interval is not to be trusted: "
        f"{'; '.join(listed)}."
    )


def _averaged_sentence(curve: DimensionCurve) -> str:
    """Write what the averaged difference is, and what n could have shown of it."""
    if curve.averaged is None:
        return ""
    label = metric_label(curve.metric)
    least = detectable_difference(curve.averaged)
    power = (
        ""
        if least is None
        else f"; n = {curve.averaged.n} shows {plain(least * label.factor)} or more in "
        f"{POWER:.0%} of studies of this spread"
    )
    return (
        f"{label.title} averaged over the {len(curve.points)} values, minus Base: "
        f"{_averaged(curve)} by the paired t test{power}."
    )


def _averaged(curve: DimensionCurve) -> str:
    """Write the difference to Base averaged over the values, with interval and p value."""
    assert curve.averaged is not None
    interval, label = curve.averaged.interval, metric_label(curve.metric)
    mean, low, high = (
        rounded(value * label.factor, label.digits)
        for value in (interval.mean, interval.low, interval.high)
    )
    return f"{mean} [{low}, {high}], {p_value(curve.averaged.p_value)}"


def is_categorical(curve: DimensionCurve) -> bool:
    """Return whether the values of a curve are names."""
    return any(isinstance(point.value, str | bool) for point in curve.points)


def along(curve: DimensionCurve, title: str) -> Axis:
    """Return the axis of a curve's dimension: whole numbers, numbers, or the names of choices."""
    if is_categorical(curve):
        return Axis(title=title, names=tuple(plain(point.value) for point in curve.points))
    is_integer = all(isinstance(point.value, int) for point in curve.points)
    values = tuple(float(point.value) for point in curve.points)
    ticks = values if is_integer and len(values) <= _MOST_TICKS else ()
    return Axis(title=title, is_integer=is_integer, ticks=ticks)


def place(curve: DimensionCurve, value: object) -> object:
    """Return where a value of the dimension is drawn."""
    return plain(value) if is_categorical(curve) else value  # type: ignore[arg-type]


def level_frame(curve: DimensionCurve) -> pd.DataFrame:
    """Return a row per control: its mean with its interval."""
    factor = metric_label(curve.metric).factor
    return pd.DataFrame(
        [
            interval_row(
                control.interval,
                factor,
                arm=(name := arm_label(control.arm, control.method)),
                told=f"{name}\n{measured(control.interval, curve.metric)}",
            )
            for control in curve.controls
        ]
    )


def mean_frame(curve: DimensionCurve) -> pd.DataFrame:
    """Return a row per value: the arm's mean with its interval; the chosen value is marked."""
    factor = metric_label(curve.metric).factor
    label, symbol = arm_label(curve.arm, curve.method), dimension_symbol(curve.dimension)
    return pd.DataFrame(
        [
            interval_row(
                point.interval,
                factor,
                arm=label,
                x=place(curve, point.value),
                is_chosen=point.value == curve.chosen,
                words=DAGGER if point.at_chance else "",
                told=f"{label}, {symbol} = {plain(point.value)}\n"
                f"{measured(point.interval, curve.metric)}"
                + (f"\n{len(point.at_chance)} replicas at chance" if point.at_chance else ""),
            )
            for point in curve.points
        ]
    )


def difference_frame(curve: DimensionCurve, factor: float, unit: str) -> pd.DataFrame:
    """Return a row per value that has a difference to Base: the difference with its interval."""
    label, symbol = arm_label(curve.arm, curve.method), dimension_symbol(curve.dimension)
    return pd.DataFrame(
        [
            difference_row(
                point.to_base,
                factor,
                unit,
                arm=label,
                x=place(curve, point.value),
                where=f"{label} − Base at {symbol} = {plain(point.value)}",
            )
            for point in curve.points
            if point.to_base is not None
        ]
    )


def curve_looks(curve: DimensionCurve) -> dict[str, Look]:
    """Return the looks of a curve's arm and its controls, which are lines across."""
    pairs = [(c.arm, c.method) for c in curve.controls] + [(curve.arm, curve.method)]
    looks = looks_by_arm(pairs)
    return {
        arm_label(arm, method): looks[arm] if arm == curve.arm else looks[arm].as_line()
        for arm, method in pairs
    }


def _read(table: TrialTable, arm: str, dimension: str) -> list[DimensionCurve]:
    return [sweep_curve(table, arm, dimension, metric) for metric in METRICS]


def _column(curve: DimensionCurve) -> Panel:
    looks = curve_looks(curve)
    label, title = metric_label(curve.metric), dimension_axis(curve.dimension)
    has_below = any(point.to_base for point in curve.points)
    upper = Plane(x=along(curve, "" if has_below else title), y=Axis(), looks=looks)
    frame = mean_frame(curve)
    shown = panel(
        levels(level_frame(curve), upper),
        dots(_replicas(curve), upper),
        trend(frame, upper, is_joined=not is_categorical(curve)),
        rings(frame[frame["is_chosen"]], upper),
        daggers(frame, upper),
        title=label.axis,
        height=210,
    )
    if not has_below:
        return shown
    lower = Plane(x=along(curve, title), y=Axis(is_signed=True), looks=looks)
    below = difference_frame(curve, label.factor, label.difference_unit)
    unit = f"minus Base, {label.difference_unit}".removesuffix(", ")
    return stack(
        shown,
        panel(
            rule_at(0.0, lower),
            bars(below, lower),
            points(below, lower),
            title=f"Averaged: {_averaged(curve)}" if curve.averaged else "",
            unit=unit,
            height=110,
        ),
    )


def _replicas(curve: DimensionCurve) -> pd.DataFrame:
    factor, label = metric_label(curve.metric).factor, arm_label(curve.arm, curve.method)
    return pd.DataFrame(
        [
            {"arm": label, "x": place(curve, point.value), "y": value * factor}
            for point in curve.points
            for value in point.replicas
        ]
    )


def curve_notes(curves: Sequence[DimensionCurve]) -> tuple[str, ...]:
    """Return the notes of curves, each once."""
    return tuple(
        dict.fromkeys(f"Arm '{curve.arm}': {note}" for curve in curves for note in curve.notes)
    )


FIGURE = Figure(
    subjects=per_sweep("sensitivity to", "over", _read),
    chart=chart,
    caption=caption,
    place="sensitivity",
    notes=curve_notes,
)
