"""The objective of each trial of a search, and the best so far."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from study.figures.style import (
    MUTED,
    add_caption,
    add_legend,
    look,
    new_figure,
    styled,
    use_integer_ticks,
)
from study.sensitivity import SearchHistory, arm_label, metric_label
from study.trial_table import TrialState

_PRUNED_COLOUR = "#7a7a7a"


def draw(record: SearchHistory) -> Figure:
    """Draw every trial by its state, with the spread of its replicas, and the best so far."""
    with styled():
        figure = new_figure(3.4)
        axes = figure.subplots()
        colour = look(record.method).colour
        _draw_state(axes, record, "COMPLETE", colour)
        _draw_state(axes, record, "PRUNED", _PRUNED_COLOUR)
        _draw_failed(axes, record)
        _draw_best(axes, record, colour)
        axes.set_xlabel("Trial number")
        axes.set_ylabel(metric_label(record.objective).axis)
        axes.set_title(f"Search of {arm_label(record.arm, record.method)}")
        use_integer_ticks(axes)
        add_legend(figure, axes)
        add_caption(figure, caption(record))
    return figure


def caption(record: SearchHistory) -> str:
    """Say what is drawn: objective, sampler, replicas and trials by state."""
    return (
        f"{record.objective} ({record.direction}) of each trial, proposed by {record.sampler}: "
        f"mean of {record.replicas} replicas at its last evaluation, bars: ± one standard "
        f"deviation over the replicas. {len(record.points)} trials: "
        f"{record.count('COMPLETE')} completed, {record.count('PRUNED')} stopped early, "
        f"{record.count('FAIL')} failed, {record.count('RUNNING')} still running. "
        f"Only completed trials count as the best so far, which is optimistic by selection."
    )


def _draw_state(axes: Axes, record: SearchHistory, state: TrialState, colour: str) -> None:
    factor = metric_label(record.objective).factor
    shown = [
        (p.number, p.value * factor, (p.deviation or 0.0) * factor)
        for p in record.points
        if p.state == state and p.value is not None
    ]
    if not shown:
        return
    is_complete = state == "COMPLETE"
    numbers, values, deviations = zip(*shown, strict=True)
    axes.errorbar(
        numbers,
        values,
        yerr=deviations,
        fmt="o" if is_complete else "v",
        color=colour,
        markerfacecolor=colour if is_complete else "white",
        ecolor=colour,
        elinewidth=0.7,
        alpha=0.85,
        label="completed" if is_complete else "stopped early",
    )


def _draw_failed(axes: Axes, record: SearchHistory) -> None:
    numbers = [point.number for point in record.points if point.state == "FAIL"]
    if numbers:
        axes.plot(
            numbers,
            [0.03] * len(numbers),
            linestyle="none",
            marker="x",
            markeredgewidth=1.6,
            color=MUTED,
            transform=axes.get_xaxis_transform(),
            label="failed (no value)",
        )


def _draw_best(axes: Axes, record: SearchHistory, colour: str) -> None:
    factor = metric_label(record.objective).factor
    steps = [(p.number, p.best * factor) for p in record.points if p.best is not None]
    if steps:
        numbers, values = zip(*steps, strict=True)
        axes.step(numbers, values, where="post", color=colour, label="best so far")
