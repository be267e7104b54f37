"""A test metric over the hidden share of the input, and below the difference to Base."""

from __future__ import annotations

import pandas as pd

from study.figures.amounts import difference_row, interval_row, measured
from study.figures.figure import Figure, per_workload
from study.figures.marks import Axis, Panel, Plane, grid, panel, rule_at, stack, trend
from study.figures.rendering import Chart
from study.figures.theme import Look, looks_by_arm
from study.sensitivity import (
    CONFIDENCE,
    OCCLUSION_ORDERS,
    OcclusionCurve,
    Robustness,
    arm_label,
    metric_label,
    occluded_workloads,
    order_label,
    robustness,
)


def chart(record: Robustness) -> Chart:
    """Draw a column per order of hiding, all on one scale; below, arms minus Base."""
    pairs = [(curve.arm, curve.method) for curve in record.curves]
    looks = looks_by_arm(pairs)
    named = {arm_label(arm, method): looks[arm] for arm, method in pairs}
    columns = [_column(record, order, named) for order in OCCLUSION_ORDERS]
    return grid(columns, columns=len(columns), least=260)


def caption(record: Robustness) -> str:
    """Write n, interval, hidden positions and their order, and missing arms."""
    counts = sorted({len(curve.seeds) for curve in record.curves})
    text = (
        f"{metric_label(record.metric).title} on {record.dataset}, {record.model}, with a share "
        f"of each sample's positions set to 0: mean of n = {' or '.join(map(str, counts))} "
        f"replicas of the chosen configuration on fresh seeds, band: {CONFIDENCE:.0%} Student's t "
        f"interval of the mean. Below: minus Base over replicas with the same seed; filled: "
        f"p < 0.05 after Holm's correction over the arms and shares of an order. Most relevant: "
        f"highest ε-LRP relevance of the true class in the whole sample, by each model itself. "
        f"Padding is neither hidden nor counted."
    )
    return " ".join((text, *record.notes))


def _column(record: Robustness, order: str, looks: dict[str, Look]) -> Panel:
    label, curves = metric_label(record.metric), record.curves_for(order)
    shares = [point.share * 100 for curve in record.curves for point in curve.points]
    margin = 0.03 * max(shares)
    x = Axis(
        title="Hidden share of the positions [%]",
        domain=(min(shares) - margin, max(shares) + margin),
    )
    upper = Plane(x=x, y=Axis(domain=_limits(record, label.factor)), looks=looks)
    shown = panel(
        trend(_levels(curves, record.metric), upper),
        title=f"Hidden {order_label(order)}",
        unit=label.axis,
        height=180,
    )
    below = _differences(curves, label.factor, label.difference_unit)
    if below.empty:
        return shown
    lower = Plane(x=x, y=Axis(is_signed=True), looks=looks)
    unit = f"minus Base, {label.difference_unit}".removesuffix(", ")
    return stack(shown, panel(rule_at(0.0, lower), trend(below, lower), unit=unit, height=110))


def _limits(record: Robustness, factor: float) -> tuple[float, float]:
    intervals = [point.interval for curve in record.curves for point in curve.points]
    low, high = min(one.low for one in intervals), max(one.high for one in intervals)
    margin = 0.04 * (high - low)
    return (low - margin) * factor, (high + margin) * factor


def _levels(curves: tuple[OcclusionCurve, ...], metric: str) -> pd.DataFrame:
    factor = metric_label(metric).factor
    return pd.DataFrame(
        [
            interval_row(
                point.interval,
                factor,
                arm=(name := arm_label(curve.arm, curve.method)),
                x=point.share * 100,
                told=f"{name}, {point.share * 100:.3g}% hidden\n"
                f"{measured(point.interval, metric)}",
            )
            for curve in curves
            for point in curve.points
        ]
    )


def _differences(curves: tuple[OcclusionCurve, ...], factor: float, unit: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            difference_row(
                point.to_base,
                factor,
                unit,
                arm=(name := arm_label(curve.arm, curve.method)),
                x=point.share * 100,
                where=f"{name} − Base, {point.share * 100:.3g}% hidden",
            )
            for curve in curves
            for point in curve.points
            if point.to_base
        ]
    )


FIGURE = Figure(
    subjects=per_workload(
        "Robustness to hidden inputs", "robustness", robustness, occluded_workloads
    ),
    chart=chart,
    caption=caption,
)
