"""Configurations from other datasets and the own choice: a row of panels per target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType

import pandas as pd

from study.figures.amounts import interval_row, measured
from study.figures.figure import Figure, ReportSource, Subject
from study.figures.marks import Axis, Panel, Plane, bars, grid, levels, panel, points, words
from study.figures.rendering import Chart
from study.figures.theme import Look, look_of
from study.sensitivity import (
    CONFIDENCE,
    TRANSFER_METRICS,
    SourceKind,
    Transfer,
    TransferTarget,
    arm_label,
    metric_label,
    transfer,
    transfer_methods,
)

_ROW, _FRAME = 28, 10
_BASE = arm_label("base", "base")
_KINDS: Mapping[SourceKind, tuple[str, str]] = MappingProxyType(
    {
        "own": ("own choice", "circle"),
        "arm": ("found by another arm", "square"),
        "group": ("found on several datasets together", "diamond"),
    }
)


def subjects(source: ReportSource) -> Iterator[Subject]:
    """Return every method whose arms tried each other's configurations."""
    for method in transfer_methods(source.table):
        yield Subject(
            title=f"{arm_label(method, method)}: configurations from other datasets",
            name=(method, "transfer"),
            arms=tuple(arm.name for arm in source.table.arms if arm.method == method),
            read=partial(transfer, source.table, method),
        )


def chart(record: Transfer) -> Chart:
    """Draw a row of panels per target, a panel per metric, and Base's level."""
    panels = [
        _panel(record, target, metric) for target in record.targets for metric in TRANSFER_METRICS
    ]
    return grid(panels, columns=len(TRANSFER_METRICS), least=260)


def caption(record: Transfer) -> str:
    """Write n, interval, Base, the datasets, and the reasons of missing points."""
    counts = sorted({len(r.seeds) for t in record.targets for r in t.rows if r.values})
    sentences = [
        f"Configurations that {arm_label(record.method, record.method)} arms chose, each "
        f"trained again on the targets: mean of n = {' or '.join(map(str, counts))} replicas on "
        f"fresh seeds, bar: {CONFIDENCE:.0%} Student's t interval of the mean. Line and band: "
        "Base on the target, same seeds, same interval.",
        *(f"{t.arm}: {t.dataset}, {t.model}." for t in record.targets),
        *(
            f"{arm_label(row.source, record.method)} on {t.arm}: {row.note}"
            for t in record.targets
            for row in t.rows
            if row.note
        ),
    ]
    return " ".join(sentences)


def _looks(record: Transfer) -> dict[str, Look]:
    color = look_of(record.method).color
    kinds = {row.kind for target in record.targets for row in target.rows}
    looks = {_BASE: look_of("base").as_line()} if any(t.base for t in record.targets) else {}
    return looks | {
        name: Look(color=color, shape=shape)
        for kind, (name, shape) in _KINDS.items()
        if kind in kinds
    }


def _panel(record: Transfer, target: TransferTarget, metric: str) -> Panel:
    label = metric_label(metric)
    names = [arm_label(row.source, record.method) for row in target.rows]
    plane = Plane(x=Axis(title=label.axis), y=Axis(names=tuple(names)), looks=_looks(record))
    found, without = [], []
    for name, row in zip(names, target.rows, strict=True):
        value = row.get(metric)
        if value is None:
            # The row of a configuration without a value shows the reason.
            without.append(
                {"y": name, "words": "outside this space" if row.is_infeasible else "no result"}
            )
            continue
        found.append(
            {
                "arm": _KINDS[row.kind][0],
                "y": name,
                "x": value.interval.mean * label.factor,
                "low": value.interval.low * label.factor,
                "high": value.interval.high * label.factor,
                "is_filled": row.kind == "own",
                "told": f"{name} on {target.arm}\n{measured(value.interval, metric)}",
            }
        )
    frame = pd.DataFrame(found)
    return panel(
        levels(_base(target, metric), plane, axis="x"),
        bars(frame, plane, along="x"),
        points(frame, plane),
        words(pd.DataFrame(without), plane, at=6, baseline="middle"),
        title=f"On {arm_label(target.arm, record.method)}",
        height=_FRAME + _ROW * len(names),
    )


def _base(target: TransferTarget, metric: str) -> pd.DataFrame:
    if metric not in target.base:
        return pd.DataFrame()
    interval, factor = target.base[metric], metric_label(metric).factor
    row = interval_row(interval, factor, told=f"{_BASE}: {measured(interval, metric)}", arm=_BASE)
    return pd.DataFrame([row | {"x": row["y"]}])


FIGURE = Figure(subjects=subjects, chart=chart, caption=caption)
