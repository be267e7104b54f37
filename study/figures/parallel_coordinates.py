"""All dimensions of a search side by side: a line per trial, or its density where there are many.

Every axis has its own numbers, and the last one is the objective, which also colors the lines.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from search_spaces import CategoricalDimension, Dimension
from study.figures.amounts import plain
from study.figures.figure import Figure, ReportSource, Subject
from study.figures.marks import Layers, grid, panel
from study.figures.rendering import Chart
from study.figures.theme import MUTED, NEUTRAL, PAPER, SCHEME
from study.figures.trial_slices import said_of, without_value
from study.records.errors import ReportError
from study.records.trial_table import ParamValue
from study.sensitivity import (
    SearchPoint,
    SearchPoints,
    arm_label,
    dimension_symbol,
    metric_label,
    search_points,
)

MANY = 400
"""From so many trials on a density is drawn, and of the lines the best ones alone."""

_BEST = 20
_STEPS, _BINS = 10, 36
_HEIGHT, _LONG = 230, 6


def subjects(source: ReportSource) -> Iterator[Subject]:
    """Return every arm that has dimensions and trials to draw."""
    for arm in source.table.arms:
        try:
            read = partial(search_points, source.table, arm.name)
            if not arm.dimensions or not read():
                continue
        except ReportError:
            continue  # what is missing here is missing in the slices, which say so
        yield Subject(
            title=f"Search of {arm_label(arm.name, arm.method)}, all dimensions",
            name=(arm.name, "search-coordinates"),
            arms=(arm.name,),
            read=read,
        )


def chart(record: SearchPoints) -> Chart:
    """Draw a line per completed trial through its dimensions, the best one thick."""
    trials = _completed(record)
    layers = _density(record, trials) if len(trials) >= MANY else []
    lines = trials[-_BEST:] if layers else trials
    return grid(
        [panel(layers, _lines(record, lines), _axes(record), height=_HEIGHT)],
        columns=1,
        least=300,
    )


def caption(record: SearchPoints) -> str:
    """Write the meaning of lines and colors."""
    count = len(_completed(record))
    label = metric_label(record.objective)
    what = (
        f"A line is one of the best {_BEST} of n = {count} completed search trials; below them, "
        f"the density of all trials and their mean {label.name}"
        if count >= MANY
        else f"A line is one of n = {count} completed search trials, the best one thick"
    )
    return (
        f"{what}. Color and last axis: {label.name}, mean of {record.replicas} replicas at the "
        f"last evaluation. A trial without a value of a dimension has no point there. "
        f"{without_value(record)}"
    ).strip()


def _completed(record: SearchPoints) -> list[SearchPoint]:
    """Return the completed trials, the best one last, so that it is drawn above the others."""
    sign = 1 if record.direction == "maximize" else -1
    return sorted(
        (p for p in record.points if p.state == "COMPLETE"), key=lambda p: sign * (p.value or 0.0)
    )


def _objective(record: SearchPoints, point: SearchPoint) -> float:
    return (point.value or 0.0) * metric_label(record.objective).factor


def _span(record: SearchPoints) -> tuple[float, float]:
    values = [_objective(record, point) for point in _completed(record)]
    return min(values), max(values)


def _lines(record: SearchPoints, trials: list[SearchPoint]) -> Layers:
    best = trials[-1].number
    frame = pd.DataFrame(
        [
            {
                "x": i,
                "y": share,
                "trial": point.number,
                "order": order,
                "value": _objective(record, point),
                "is_best": point.number == best,
                "told": said_of(record, point),
            }
            for order, point in enumerate(trials)
            for i, share in enumerate(_shares(record, point))
            if share is not None
        ]
    )
    thin: dict[str, Any] = {"opacity": 0.9 if len(trials) <= 60 else 0.5, "strokeWidth": 1.3}
    base = alt.Chart(frame).encode(
        x=_x(record), y=_y(), detail="order:O", color=_color(record), tooltip="told:N"
    )
    return [
        base.mark_line(**thin).transform_filter("!datum.is_best"),
        base.mark_line(strokeWidth=4).transform_filter("datum.is_best"),
        base.mark_point(filled=True, size=22, opacity=1),
    ]


def _density(record: SearchPoints, trials: list[SearchPoint]) -> Layers:
    """Count the lines that cross each cell between two axes, with their mean objective."""
    shares = np.array(
        [[np.nan if s is None else s for s in _shares(record, point)] for point in trials]
    )
    values = np.array([_objective(record, point) for point in trials])
    rows: list[dict[str, Any]] = []
    for axis in range(shares.shape[1] - 1):
        for step in range(_STEPS):
            part = (step + 0.5) / _STEPS
            height = shares[:, axis] * (1 - part) + shares[:, axis + 1] * part
            known = ~np.isnan(height)
            cell = np.minimum((height[known] * _BINS).astype(int), _BINS - 1)
            counts = np.bincount(cell, minlength=_BINS)
            sums = np.bincount(cell, weights=values[known], minlength=_BINS)
            rows += [
                {
                    "x": axis + step / _STEPS,
                    "to_x": axis + (step + 1) / _STEPS,
                    "y": b / _BINS,
                    "to_y": (b + 1) / _BINS,
                    "count": int(counts[b]),
                    "value": float(sums[b] / counts[b]),
                }
                for b in np.flatnonzero(counts)
            ]
    return [
        alt.Chart(pd.DataFrame(rows))
        .mark_rect()
        .encode(
            x=_x(record),
            x2="to_x:Q",
            y=_y(),
            y2="to_y:Q",
            color=_color(record),
            opacity=alt.Opacity(
                "count:Q", scale=alt.Scale(type="sqrt", range=[0.05, 0.85]), legend=None
            ),
        )
    ]


def _axes(record: SearchPoints) -> Layers:
    """Draw the axes with their numbers and names."""
    objective = metric_label(record.objective).name.split(maxsplit=1)[-1]
    names = [*map(dimension_symbol, record.dimensions), objective]
    # Long names stand in two rows, so that neighbors do not meet on a phone.
    is_long = max(map(len, names[:-1])) > _LONG
    heads = pd.DataFrame(
        [
            {"x": i, "words": name, "is_high": is_long and i % 2 == 1}
            for i, name in enumerate(names)
        ]
    )
    ticks = pd.DataFrame(
        [
            {"x": i, "y": share, "words": words}
            for i, marks in enumerate(_all_ticks(record))
            for share, words in marks
        ]
    )
    x, y = _x(record), _y()
    number: dict[str, Any] = {"align": "right", "baseline": "middle", "dx": -6, "fontSize": 10}
    halo: dict[str, Any] = {"stroke": PAPER, "strokeWidth": 3, "strokeJoin": "round"}
    text = alt.Chart(ticks).encode(x=x, y=y, text="words:N")
    return [
        alt.Chart(heads).mark_rule(color=NEUTRAL, strokeWidth=1).encode(x=x),
        alt.Chart(ticks)
        .mark_tick(color=NEUTRAL, size=8, thickness=1, orient="horizontal")
        .encode(x=x, y=y),
        text.mark_text(**number, **halo),
        text.mark_text(**number, color=MUTED),
        *(
            alt.Chart(heads[heads["is_high"] == is_high])
            .mark_text(style="heading", align="center", fontSize=11)
            .encode(x=x, y=alt.value(-26 if is_high else -12), text="words:N")
            for is_high in (False, True)
            if is_high in set(heads["is_high"])
        ),
    ]


def _x(record: SearchPoints) -> alt.X:
    last = len(record.dimensions)
    return alt.X("x:Q", scale=alt.Scale(domain=[0, last], padding=30, nice=False), axis=None)


def _y() -> alt.Y:
    return alt.Y("y:Q", scale=alt.Scale(domain=[0, 1], nice=False), axis=None)


def _color(record: SearchPoints) -> alt.Color:
    colors = list(SCHEME if record.direction == "maximize" else reversed(SCHEME))
    scale = alt.Scale(domain=list(_span(record)), range=colors)
    # The last axis is the legend.
    return alt.Color("value:Q", scale=scale, legend=None)


def _shares(record: SearchPoints, point: SearchPoint) -> list[float | None]:
    """Return where a trial lies along every axis, from 0 to 1; None where it has no value."""
    low, high = _span(record)
    value = (_objective(record, point) - low) / (high - low) if high > low else 0.5
    return [
        *(
            _share(axis, point.params[name]) if name in point.params else None
            for name, axis in record.dimensions.items()
        ),
        value,
    ]


def _share(axis: Dimension, value: ParamValue) -> float:
    """Return where a value lies in its range, from 0 to 1, on the scale of the search."""
    if isinstance(axis, CategoricalDimension):
        return axis.choices.index(value) / max(1, len(axis.choices) - 1)
    low, high, place = float(axis.low), float(axis.high), float(value)
    if axis.log:
        low, high, place = math.log(low), math.log(high), math.log(place)
    return (place - low) / (high - low) if high > low else 0.5


def _all_ticks(record: SearchPoints) -> Iterator[list[tuple[float, str]]]:
    for axis in record.dimensions.values():
        if isinstance(axis, CategoricalDimension):
            yield [(_share(axis, choice), plain(choice)) for choice in axis.choices]
        else:
            ticks = _ticks(float(axis.low), float(axis.high), is_log=axis.log)
            yield [(_share(axis, tick), f"{tick:g}") for tick in ticks]
    low, high = _span(record)
    span = (high - low) or 1.0
    ends = [(0.0, f"{low:.3g}"), (1.0, f"{high:.3g}")]
    inner = [tick for tick in _ticks(low, high, is_log=False) if low < tick < high]
    shares = [((tick - low) / span, f"{tick:g}") for tick in inner]
    yield [*ends, *(one for one in shares if 0.07 < one[0] < 0.93)]


def _ticks(low: float, high: float, *, is_log: bool) -> list[float]:
    """Return the ends and about three round numbers between them."""
    if high <= low:
        return [low]
    if is_log:
        inner = [10.0**power for power in range(math.ceil(math.log10(low)), 12)]
        place = {t: math.log(t / low) / math.log(high / low) for t in inner if low < t < high}
    else:
        step = 10.0 ** math.floor(math.log10((high - low) / 3))
        step *= next(m for m in (1, 2, 2.5, 5, 10) if (high - low) / (step * m) <= 4.5)
        inner = [round(step * i, 10) for i in range(math.ceil(low / step), int(high / step) + 1)]
        place = {tick: (tick - low) / (high - low) for tick in inner}
    return [low, *(tick for tick, share in place.items() if 0.07 < share < 0.93), high]


FIGURE = Figure(subjects=subjects, chart=chart, caption=caption, place="searches")
