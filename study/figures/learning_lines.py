"""Training loss and validation metric over the epochs: all arms, bands and replicas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from study.figures.amounts import interval_row, measured
from study.figures.figure import Figure, per_workload
from study.figures.marks import Axis, Panel, Plane, band, grid, line, panel, points
from study.figures.rendering import Chart
from study.figures.theme import Look, looks_by_arm
from study.sensitivity import (
    CONFIDENCE,
    Interval,
    LearningCurves,
    arm_label,
    learning_curves,
    metric_label,
    t_interval,
    workloads_with_curves,
)


def chart(record: LearningCurves) -> Chart:
    """Draw a panel per metric: mean and band of every arm, replicas as thin lines."""
    pairs = [(curve.arm, curve.method) for curve in record.curves]
    looks = looks_by_arm(pairs)
    named = {arm_label(arm, method): looks[arm] for arm, method in pairs}
    panels = [_panel(record, metric, named) for metric in record.metrics]
    return grid(panels, columns=len(panels), least=280)


def caption(record: LearningCurves) -> str:
    """Write n, interval, and the data of the loss."""
    counts = sorted({len(curve.seeds) for curve in record.curves})
    evaluations = max(len(curve.points) for curve in record.curves)
    return " ".join(
        (
            f"Training of each arm's chosen configuration on {record.dataset}, {record.model}: "
            f"mean of n = {' or '.join(map(str, counts))} replicas on fresh seeds (thin lines), "
            f"band: {CONFIDENCE:.0%} Student's t interval, on a log scale of the logarithms "
            f"around the geometric mean; {evaluations} evaluations. Training "
            f"loss: mean over the batches since the evaluation before, as the arm trained on "
            f"them, changed samples included.",
            *record.notes,
        )
    )


def _of_logarithms(values: Sequence[float]) -> Interval:
    """Return the geometric mean and its interval, which no value near 0 stretches over decades."""
    found = t_interval([math.log(value) for value in values])
    low, middle, high = (math.exp(end) for end in (found.low, found.mean, found.high))
    return replace(found, mean=middle, low=low, high=high)


def _panel(record: LearningCurves, metric: str, looks: dict[str, Look]) -> Panel:
    label = metric_label(metric)
    curves = record.of(metric)
    # A loss of 0 has no logarithm.
    is_log = label.unit == "nats" and all(
        value > 0 for curve in curves for point in curve.points for value in point.replicas
    )
    plane = Plane(x=Axis(title="Epoch", is_integer=True), y=Axis(is_log=is_log), looks=looks)
    means, replicas = [], []
    for curve in curves:
        name = arm_label(curve.arm, curve.method)
        for point in curve.points:
            interval = _of_logarithms(point.replicas) if is_log else point.interval
            row = interval_row(
                interval,
                label.factor,
                arm=name,
                x=point.epoch,
                told=f"{name}, epoch {point.epoch}\n{measured(interval, metric)}",
            )
            means.append(row)
            replicas += [
                {
                    "arm": name,
                    "x": point.epoch,
                    "y": value * label.factor,
                    "seed": f"{name} {seed}",
                }
                for seed, value in zip(curve.seeds, point.replicas, strict=True)
            ]
    frame = pd.DataFrame(means)
    thin = {"strokeWidth": 0.8, "opacity": 0.45}
    return panel(
        band(frame, plane),
        line(pd.DataFrame(replicas), plane, detail="seed", mark=thin),
        line(frame, plane, mark={"strokeWidth": 2.6}),
        points(frame, plane, size=26),
        title=f"{label.axis}, log scale" if is_log else label.axis,
        height=210,
    )


FIGURE = Figure(
    subjects=per_workload(
        "Learning curves", "learning-curves", learning_curves, workloads_with_curves
    ),
    chart=chart,
    caption=caption,
)
