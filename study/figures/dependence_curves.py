"""A metric over each dimension on average over the others: a panel per dimension."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from search_spaces import CategoricalDimension, IntDimension
from study.figures.amounts import plain
from study.figures.figure import Figure, ReportSource, Subject
from study.figures.importance_bars import describe_trials, metric_subjects, trials_for
from study.figures.marks import Axis, Panel, Plane, band, grid, line, panel, trend
from study.figures.rendering import Chart
from study.figures.theme import look_of
from study.records.labels import dimension_axis, dimension_symbol, metric_label
from study.records.trial_table import ArmRow
from study.sensitivity.importance import PartialCurve, PartialDependence, partial_dependence
from study.sensitivity.intervals import CONFIDENCE


def subjects(source: ReportSource) -> Iterator[Subject]:
    """Return every arm that can be asked, with each metric."""
    return metric_subjects(source, "{metric} over each dimension", "partial-dependence", _read)


def chart(record: PartialDependence) -> Chart:
    """Draw a curve with its band per dimension, all on the same vertical scale."""
    panels = [_panel(record, curve) for curve in record.curves]
    return grid(panels, columns=min(3, len(panels)), least=210)


def caption(record: PartialDependence) -> str:
    """Write trials, replicas, metric, design, forest and band."""
    return " ".join(
        (
            f"Partial dependence of {describe_trials(record.data)}",
            "Line: what a random forest predicts along a dimension, on average over the others; "
            f"band or bar: {CONFIDENCE:.0%} interval at each value ({record.interval}). One "
            "vertical scale.",
            *record.notes,
        )
    )


def _read(source: ReportSource, arm: ArmRow, metric: str) -> PartialDependence:
    return partial_dependence(trials_for(source, arm, metric))


def _panel(record: PartialDependence, curve: PartialCurve) -> Panel:
    label, method = metric_label(record.data.metric), record.data.method
    is_choice = isinstance(curve.axis, CategoricalDimension)
    frame = pd.DataFrame(
        [
            {
                "arm": method,
                "x": plain(place) if is_choice else place,
                "y": mean * label.factor,
                "low": low * label.factor,
                "high": high * label.factor,
                "told": f"{dimension_symbol(curve.dimension)} = {plain(place)}\n{label.name} "
                f"{mean * label.factor:.4g} "
                f"[{low * label.factor:.4g}, {high * label.factor:.4g}]",
            }
            for place, mean, low, high in zip(
                curve.values, curve.means, curve.lows, curve.highs, strict=True
            )
        ]
    )
    plane = Plane(x=_axis(curve), y=Axis(domain=_limits(record)), looks={method: look_of(method)})
    if is_choice or isinstance(curve.axis, IntDimension):
        layers = trend(frame, plane, is_joined=not is_choice, size=30)
    else:
        layers = [*band(frame, plane), *line(frame, plane)]
    return panel(layers, title=dimension_symbol(curve.dimension), unit=label.axis, height=150)


def _limits(record: PartialDependence) -> tuple[float, float]:
    """Return one scale for all panels, so that a flat curve looks flat."""
    factor = metric_label(record.data.metric).factor
    low = min(value for curve in record.curves for value in curve.lows)
    high = max(value for curve in record.curves for value in curve.highs)
    margin = 0.05 * (high - low)
    return (low - margin) * factor, (high + margin) * factor


def _axis(curve: PartialCurve) -> Axis:
    title = dimension_axis(curve.dimension)
    if isinstance(curve.axis, CategoricalDimension):
        return Axis(title=title, names=tuple(map(plain, curve.values)))
    is_integer = isinstance(curve.axis, IntDimension)
    return Axis(title=title, is_integer=is_integer, is_log=curve.axis.log)


FIGURE = Figure(subjects=subjects, chart=chart, caption=caption, place="sensitivity")
