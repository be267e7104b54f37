"""A test metric over the share of the input that is hidden: at random, and most relevant first."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from study.figures.style import Look, add_caption, add_legend, looks, new_figure, styled
from study.sensitivity import (
    CONFIDENCE,
    OCCLUSION_ORDERS,
    OcclusionCurve,
    Robustness,
    arm_label,
    metric_label,
    order_label,
)


def draw(record: Robustness) -> Figure:
    """Draw one panel per order of hiding: a line and band for every arm."""
    with styled():
        figure = new_figure(3.7)
        panels: Sequence[Axes] = figure.subplots(1, len(OCCLUSION_ORDERS), sharey=True)
        label = metric_label(record.metric)
        for axes, order in zip(panels, OCCLUSION_ORDERS, strict=True):
            curves = record.of_order(order)
            styles = looks([curve.method for curve in curves])
            for curve, style in zip(curves, styles, strict=True):
                _draw_curve(axes, curve, style, label.factor)
            axes.set_title(f"Hidden {order_label(order)}")
            axes.set_xlabel("Hidden share of the positions [%]")
        panels[0].set_ylabel(label.axis)
        add_legend(figure, panels[0])
        add_caption(figure, caption(record))
    return figure


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


def _draw_curve(axes: Axes, curve: OcclusionCurve, style: Look, factor: float) -> None:
    shares = [point.share * 100 for point in curve.points]
    intervals = [point.interval for point in curve.points]
    axes.fill_between(
        shares,
        [interval.low * factor for interval in intervals],
        [interval.high * factor for interval in intervals],
        color=style.colour,
        alpha=0.15,
        linewidth=0,
    )
    axes.plot(
        shares,
        [interval.mean * factor for interval in intervals],
        color=style.colour,
        linestyle=style.line,
        marker=style.marker,
        label=arm_label(curve.arm, curve.method),
    )
