"""A metric over the values of one dimension, with its controls: the paper's figure 4."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from study.figures.style import (
    add_caption,
    add_legend,
    look,
    new_figure,
    styled,
    use_integer_ticks,
)
from study.sensitivity import (
    CONFIDENCE,
    DimensionCurve,
    arm_label,
    dimension_axis,
    dimension_symbol,
    metric_label,
)
from study.trial_table import ParamValue


def draw(curves: Sequence[DimensionCurve]) -> Figure:
    """Draw one panel per metric: line and band of the arm, levels and bands of its controls.

    Args:
        curves: Curves of one arm over one dimension, at least one; usually accuracy and AUC.
    """
    with styled():
        # Names of choices stand aslant below the axis.
        figure = new_figure(4.5 if _is_categorical(curves[0]) else 3.7)
        panels = figure.subplots(1, len(curves), squeeze=False)[0]
        for axes, curve in zip(panels, curves, strict=True):
            draw_panel(axes, curve)
            axes.set_title(metric_label(curve.metric).title)
            axes.set_ylabel(metric_label(curve.metric).axis)
            axes.set_xlabel(dimension_axis(curve.dimension))
        add_legend(figure, panels[0])
        add_caption(figure, caption(curves[0]))
    return figure


def draw_panel(axes: Axes, curve: DimensionCurve) -> None:
    """Draw one curve into a panel, without title and labels."""
    factor = metric_label(curve.metric).factor
    for control in curve.controls:
        style, interval = look(control.method), control.interval
        axes.axhspan(
            interval.low * factor,
            interval.high * factor,
            color=style.colour,
            alpha=0.10,
            linewidth=0,
        )
        axes.axhline(
            interval.mean * factor,
            color=style.colour,
            linestyle=style.line,
            linewidth=1.3,
            label=arm_label(control.arm, control.method),
        )
    places = _places(curve)
    _draw_arm(axes, curve, places, factor)
    if _is_categorical(curve):
        names = [str(point.value).replace("_", " ") for point in curve.points]
        axes.set_xticks(places, names, rotation=35, ha="right", rotation_mode="anchor")
    elif all(isinstance(point.value, int) for point in curve.points):
        use_integer_ticks(axes)


def caption(curve: DimensionCurve) -> str:
    """Say what is drawn: n, interval, where the other params stand, and what is missing."""
    fixed = ", ".join(
        f"{dimension_symbol(name)}\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{_number(value)}"
        for name, value in curve.fixed.items()
    )
    mark = "bar" if _is_categorical(curve) else "band"
    controls = " and ".join(arm_label(c.arm, c.method) for c in curve.controls)
    sentences = [
        f"{arm_label(curve.arm, curve.method)} over {dimension_symbol(curve.dimension)}: mean of "
        f"n = {curve.n} replicas on fresh seeds, {mark}: {CONFIDENCE:.0%} Student's t interval "
        f"of the mean.",
        f"Horizontal lines: {controls}, same seeds, same interval." if controls else "",
        f"Ring: the value that the search chose ({_number(curve.chosen)}).",
        f"All else fixed at {fixed}." if fixed else "",
        *curve.notes,
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _draw_arm(axes: Axes, curve: DimensionCurve, places: Sequence[float], factor: float) -> None:
    style = look(curve.method)
    intervals = [point.interval for point in curve.points]
    means = [interval.mean * factor for interval in intervals]
    lows = [interval.low * factor for interval in intervals]
    highs = [interval.high * factor for interval in intervals]
    # Choices have no order, so that a line from one to the next would say nothing.
    line = "none" if _is_categorical(curve) else style.line
    if _is_categorical(curve):
        axes.vlines(places, lows, highs, color=style.colour, alpha=0.5, linewidth=2)
    else:
        axes.fill_between(places, lows, highs, color=style.colour, alpha=0.22, linewidth=0)
    axes.plot(
        places,
        means,
        color=style.colour,
        linestyle=line,
        marker=style.marker,
        label=arm_label(curve.arm, curve.method),
    )
    for place, mean, point in zip(places, means, curve.points, strict=True):
        if point.value == curve.chosen:
            axes.plot(
                [place],
                [mean],
                marker="o",
                markersize=10,
                markerfacecolor="none",
                markeredgecolor=style.colour,
                linestyle="none",
                label="chosen by the search",
            )


def _is_categorical(curve: DimensionCurve) -> bool:
    return any(isinstance(point.value, str | bool) for point in curve.points)


def _places(curve: DimensionCurve) -> list[float]:
    if _is_categorical(curve):
        return [float(index) for index in range(len(curve.points))]
    return [float(point.value) for point in curve.points]


def _number(value: ParamValue) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
