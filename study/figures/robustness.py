"""A test metric over the share of the input that is hidden: at random, and most relevant first."""

from __future__ import annotations

from study.figures.chart import Axis, Chart, Panel, Series
from study.figures.hover import measured
from study.figures.style import Look, looks
from study.sensitivity import (
    CONFIDENCE,
    OCCLUSION_ORDERS,
    OcclusionCurve,
    Robustness,
    arm_label,
    metric_label,
    order_label,
)


def chart(record: Robustness) -> Chart:
    """Draw one panel per order of hiding: a line and band for every arm."""
    panels = tuple(_panel(record, order) for order in OCCLUSION_ORDERS)
    return Chart(rows=(panels,), caption=caption(record), shares_y=True)


def caption(record: Robustness) -> str:
    """Say what is drawn: n, interval, what is hidden and by which order, what is missing."""
    counts = sorted({len(curve.seeds) for curve in record.curves})
    text = (
        f"{metric_label(record.metric).title} on {record.dataset}, {record.model}, with a share "
        f"of each sample's positions set to 0: mean of n = {' or '.join(map(str, counts))} "
        f"replicas of the chosen configuration on fresh seeds, band: {CONFIDENCE:.0%} Student's t "
        f"interval of the mean. Most relevant: highest ε-LRP relevance of the true class in the "
        f"whole sample, by each model itself. Padding is neither hidden nor counted."
    )
    return " ".join((text, *record.notes))


def _panel(record: Robustness, order: str) -> Panel:
    curves = record.curves_for(order)
    styles = looks([curve.method for curve in curves])
    return Panel(
        title=f"Hidden {order_label(order)}",
        x=Axis(title="Hidden share of the positions [%]"),
        y=Axis(title=metric_label(record.metric).axis),
        series=tuple(
            _line(curve, style, record.metric) for curve, style in zip(curves, styles, strict=True)
        ),
    )


def _line(curve: OcclusionCurve, style: Look, metric: str) -> Series:
    factor = metric_label(metric).factor
    intervals = [point.interval for point in curve.points]
    return Series(
        name=arm_label(curve.arm, curve.method),
        look=style,
        x=tuple(point.share * 100 for point in curve.points),
        y=tuple(interval.mean * factor for interval in intervals),
        low=tuple(interval.low * factor for interval in intervals),
        high=tuple(interval.high * factor for interval in intervals),
        hover=tuple(
            f"{point.share * 100:.3g}% hidden\n{measured(point.interval, metric)}"
            for point in curve.points
        ),
    )
