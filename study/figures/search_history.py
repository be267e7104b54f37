"""The objective of each trial of a search, and the best so far."""

from __future__ import annotations

from collections.abc import Iterator

from study.figures.chart import Axis, Chart, Panel, Series
from study.figures.style import MUTED, PRUNED_LOOK, Look, look
from study.sensitivity import HistoryPoint, SearchHistory, arm_label, metric_label

_FAILED_LOOK = Look(color=MUTED, marker="x", line="-")
_BELOW = 0.08
"""How far below the lowest value failed trials are marked, as a share of the values' span."""


def chart(record: SearchHistory) -> Chart:
    """Draw every trial by its state, with the spread of its replicas, and the best so far."""
    panel = Panel(
        title=f"Search of {arm_label(record.arm, record.method)}",
        x=Axis(title="Trial number", is_integer=True),
        y=Axis(title=metric_label(record.objective).axis),
        series=tuple(series for series in _series(record) if series.x),
    )
    return Chart(rows=((panel,),), caption=caption(record), heights=(2.5,))


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


def _series(record: SearchHistory) -> Iterator[Series]:
    completed = [point for point in record.points if point.state == "COMPLETE"]
    pruned = [point for point in record.points if point.state == "PRUNED"]
    yield _trials(record, "completed", look(record.method), completed)
    yield _trials(record, "stopped early", PRUNED_LOOK, pruned, is_hollow=True)
    yield _failed(record)
    yield _best(record)


def _trials(
    record: SearchHistory,
    name: str,
    style: Look,
    points: list[HistoryPoint],
    *,
    is_hollow: bool = False,
) -> Series:
    factor = metric_label(record.objective).factor
    shown = [(p.number, p.value, p.deviation or 0.0) for p in points if p.value is not None]
    return Series(
        name=name,
        look=style,
        x=tuple(float(number) for number, _, _ in shown),
        y=tuple(value * factor for _, value, _ in shown),
        low=tuple((value - deviation) * factor for _, value, deviation in shown),
        high=tuple((value + deviation) * factor for _, value, deviation in shown),
        mark="points",
        is_hollow=is_hollow,
        opacity=0.85,
        hover=tuple(
            f"trial {number}: {_amount(value, record)} ± {_amount(deviation, record)}"
            for number, value, deviation in shown
        ),
    )


def _failed(record: SearchHistory) -> Series:
    numbers = [point.number for point in record.points if point.state == "FAIL"]
    return Series(
        name="failed (no value)",
        look=_FAILED_LOOK,
        x=tuple(float(number) for number in numbers),
        y=(_floor(record),) * len(numbers),
        mark="points",
        hover=tuple(f"trial {n}: {record.reasons.get(n) or 'no reason'}" for n in numbers),
    )


def _best(record: SearchHistory) -> Series:
    factor = metric_label(record.objective).factor
    steps = [(p.number, p.best) for p in record.points if p.best is not None]
    return Series(
        name="best so far",
        look=look(record.method),
        x=tuple(float(number) for number, _ in steps),
        y=tuple(best * factor for _, best in steps),
        mark="steps",
        hover=tuple(f"after trial {number}: {_amount(best, record)}" for number, best in steps),
    )


def _floor(record: SearchHistory) -> float:
    """Give where trials without a value are marked: below all that have one."""
    known = [(p.value, p.deviation or 0.0) for p in record.points if p.value is not None]
    if not known:
        return 0.0
    low = min(value - deviation for value, deviation in known)
    high = max(value + deviation for value, deviation in known)
    return (low - _BELOW * (high - low)) * metric_label(record.objective).factor


def _amount(value: float, record: SearchHistory) -> str:
    label = metric_label(record.objective)
    return f"{value * label.factor:.{label.digits}f}{label.unit}"
