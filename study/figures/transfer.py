"""Settings found elsewhere beside the own choice: one row of points per target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from study.figures.chart import Axis, Chart, Level, Panel, Series, Text
from study.figures.hover import measured
from study.figures.style import Look, look
from study.sensitivity import (
    CONFIDENCE,
    TRANSFER_METRICS,
    SourceKind,
    Transfer,
    TransferTarget,
    arm_label,
    metric_label,
)

_ROW_INCHES, _TARGET_INCHES = 0.3, 0.7
_MARKERS: Mapping[SourceKind, str] = MappingProxyType({"own": "o", "arm": "s", "group": "D"})
_NAMES: Mapping[SourceKind, str] = MappingProxyType(
    {
        "own": "own choice",
        "arm": "found by another arm",
        "group": "found on several datasets together",
    }
)


def chart(record: Transfer) -> Chart:
    """Draw a row of panels per target and a panel per metric: settings, with the level of Base."""
    return Chart(
        rows=tuple(
            tuple(_panel(record.method, target, metric) for metric in TRANSFER_METRICS)
            for target in record.targets
        ),
        caption=caption(record),
        heights=tuple(_TARGET_INCHES + _ROW_INCHES * len(t.rows) for t in record.targets),
        shares_y=True,
    )


def caption(record: Transfer) -> str:
    """Say what is drawn: n, interval, Base, the datasets, and what has no point."""
    counts = sorted({len(r.seeds) for t in record.targets for r in t.rows if r.values})
    sentences = [
        f"Settings that {arm_label(record.method, record.method)} arms chose, each trained anew "
        f"on the targets: mean of n = {' or '.join(map(str, counts))} replicas on fresh seeds, "
        f"bar: {CONFIDENCE:.0%} Student's t interval of the mean. Dashed line and band: Base on "
        "the target, same seeds, same interval.",
        *(f"{t.arm}: {t.dataset}, {t.model}." for t in record.targets),
        *(
            f"{arm_label(row.source, record.method)} on {t.arm}: {row.note}"
            for t in record.targets
            for row in t.rows
            if row.note
        ),
    ]
    return " ".join(sentences)


def _panel(method: str, target: TransferTarget, metric: str) -> Panel:
    names = [arm_label(row.source, method) for row in target.rows]
    is_first = metric == TRANSFER_METRICS[0]
    return Panel(
        title=f"On {arm_label(target.arm, method)}" if is_first else "",
        x=Axis(title=metric_label(metric).axis),
        y=Axis(
            ticks=tuple((float(place), name) for place, name in enumerate(names)),
            is_reversed=True,
            limits=(-0.5, len(names) - 0.5),
        ),
        series=tuple(_points(method, target, metric)),
        levels=tuple(_base(target, metric)),
        texts=tuple(_words(target, metric)),
    )


def _points(method: str, target: TransferTarget, metric: str) -> Iterator[Series]:
    """Give the settings of each kind, in the order of their first rows."""
    factor = metric_label(metric).factor
    for kind in dict.fromkeys(row.kind for row in target.rows):
        shown = [
            (float(place), arm_label(row.source, method), value.interval)
            for place, row in enumerate(target.rows)
            if row.kind == kind and (value := row.get(metric)) is not None
        ]
        if shown:
            yield Series(
                name=_NAMES[kind],
                look=Look(color=look(method).color, marker=_MARKERS[kind], line="-"),
                x=tuple(interval.mean * factor for _, _, interval in shown),
                y=tuple(place for place, _, _ in shown),
                low=tuple(interval.low * factor for _, _, interval in shown),
                high=tuple(interval.high * factor for _, _, interval in shown),
                spread="x",
                mark="points",
                is_hollow=kind != "own",
                hover=tuple(
                    f"{name}\n{measured(interval, metric)}" for _, name, interval in shown
                ),
            )


def _base(target: TransferTarget, metric: str) -> Iterator[Level]:
    if metric in target.base:
        interval, factor = target.base[metric], metric_label(metric).factor
        yield Level(
            name=arm_label("base", "base"),
            look=look("base"),
            value=interval.mean * factor,
            low=interval.low * factor,
            high=interval.high * factor,
            axis="x",
            hover=measured(interval, metric),
        )


def _words(target: TransferTarget, metric: str) -> Iterator[Text]:
    """Say in the row of a setting without a value why it has none."""
    for place, row in enumerate(target.rows):
        if row.get(metric) is None:
            words = "not legal here" if row.is_infeasible else "no result"
            yield Text(x=None, y=float(place), words=words)
