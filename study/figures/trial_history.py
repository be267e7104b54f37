"""The objective of each trial of a search, and the best so far."""

from __future__ import annotations

import pandas as pd

from study.figures.figure import Figure, per_arm
from study.figures.marks import Axis, Plane, bars, grid, line, panel, points
from study.figures.rendering import Chart
from study.figures.theme import INK, MUTED, NEUTRAL, Look, look_of
from study.sensitivity import SearchHistory, metric_label, search_history

_CROSS = "M-0.8,-0.8L0.8,0.8M-0.8,0.8L0.8,-0.8"
_BELOW = 0.08
"""How far below the lowest value failed trials are marked, as a share of the values' span."""

COMPLETED, PRUNED, FAILED, BEST = "completed", "stopped early", "failed (no value)", "best so far"


def chart(record: SearchHistory) -> Chart:
    """Draw every trial by its state, with the spread of its replicas, and the best so far."""
    trials, failed, best = _trials(record), _failed(record), _best(record)
    shown = [str(one) for frame in (trials, failed, best) for one in frame.get("arm", ())]
    looks = {
        COMPLETED: look_of(record.method),
        PRUNED: Look(color=NEUTRAL, shape="triangle-down"),
        FAILED: Look(color=MUTED, shape=_CROSS),
        BEST: Look(color=INK, shape="stroke"),
    }
    plane = Plane(
        x=Axis(title="Trial number", is_integer=True),
        y=Axis(),
        looks={name: look for name, look in looks.items() if name in shown},
    )
    made = panel(
        line(best, plane, mark={"interpolate": "step-after", "strokeWidth": 1.4}),
        bars(trials, plane),
        points(trials, plane, size=36),
        points(failed, plane, size=50),
        title=metric_label(record.objective).axis,
        height=190,
    )
    return grid([made], columns=1, least=240)


def caption(record: SearchHistory) -> str:
    """Write objective, sampler, replicas and trials by state."""
    return (
        f"{record.objective} ({record.direction}) of each trial, proposed by {record.sampler}: "
        f"mean of {record.replicas} replicas at its last evaluation, bars: ± one standard "
        f"deviation over the replicas. {len(record.points)} trials: "
        f"{record.count('COMPLETE')} completed, {record.count('PRUNED')} stopped early, "
        f"{record.count('FAIL')} failed, {record.count('RUNNING')} still running. "
        f"Only completed trials count as the best so far, which is optimistic by selection."
    )


def _trials(record: SearchHistory) -> pd.DataFrame:
    factor, names = (
        metric_label(record.objective).factor,
        {"COMPLETE": COMPLETED, "PRUNED": PRUNED},
    )
    return pd.DataFrame(
        [
            {
                "arm": names[point.state],
                "x": point.number,
                "y": point.value * factor,
                "low": (point.value - (point.deviation or 0.0)) * factor,
                "high": (point.value + (point.deviation or 0.0)) * factor,
                "is_filled": point.state == "COMPLETE",
                "told": f"trial {point.number}: {_amount(point.value, record)} "
                f"± {_amount(point.deviation or 0.0, record)}",
            }
            for point in record.points
            if point.value is not None and point.state in names
        ]
    )


def _failed(record: SearchHistory) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "arm": FAILED,
                "x": point.number,
                "y": _floor(record),
                "told": f"trial {point.number}: {record.reasons.get(point.number) or 'no reason'}",
                # Strokes alone: a cross has nothing to fill.
                "is_filled": False,
            }
            for point in record.points
            if point.state == "FAIL"
        ]
    )


def _best(record: SearchHistory) -> pd.DataFrame:
    factor = metric_label(record.objective).factor
    return pd.DataFrame(
        [
            {"arm": BEST, "x": point.number, "y": point.best * factor}
            for point in record.points
            if point.best is not None
        ]
    )


def _floor(record: SearchHistory) -> float:
    """Return where trials without a value are marked: below all that have one."""
    known = [(p.value, p.deviation or 0.0) for p in record.points if p.value is not None]
    if not known:
        return 0.0
    low = min(value - deviation for value, deviation in known)
    high = max(value + deviation for value, deviation in known)
    return (low - _BELOW * (high - low)) * metric_label(record.objective).factor


def _amount(value: float, record: SearchHistory) -> str:
    label = metric_label(record.objective)
    return f"{value * label.factor:.{label.digits}f}{label.unit}"


FIGURE = Figure(
    subjects=per_arm("Search of {arm}", "search-history", search_history),
    chart=chart,
    caption=caption,
    place="searches",
)
