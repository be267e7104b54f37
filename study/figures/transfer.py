"""Settings found elsewhere beside the own choice: one row of points per target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from study.figures.style import MUTED, add_caption, look, new_figure, styled
from study.sensitivity import (
    CONFIDENCE,
    TRANSFER_METRICS,
    SourceKind,
    Transfer,
    TransferTarget,
    arm_label,
    metric_label,
)

_ROW_INCHES, _TARGET_INCHES, _FRAME_INCHES = 0.3, 0.7, 1.1
_MARKERS: Mapping[SourceKind, str] = MappingProxyType({"own": "o", "arm": "s", "group": "D"})
_NAMES: Mapping[SourceKind, str] = MappingProxyType(
    {
        "own": "own choice",
        "arm": "found by another arm",
        "group": "found on several datasets together",
    }
)


def draw(record: Transfer) -> Figure:
    """Draw a row of panels per target and a panel per metric: settings, with the level of Base."""
    counts = [len(target.rows) for target in record.targets]
    height = _FRAME_INCHES + sum(_TARGET_INCHES + _ROW_INCHES * count for count in counts)
    with styled():
        figure = new_figure(height)
        panels = figure.subplots(
            len(counts),
            len(TRANSFER_METRICS),
            squeeze=False,
            sharey="row",
            height_ratios=[_TARGET_INCHES + _ROW_INCHES * count for count in counts],
        )
        for row, target in zip(panels, record.targets, strict=True):
            for axes, metric in zip(row, TRANSFER_METRICS, strict=True):
                _draw_panel(axes, record.method, target, metric)
            row[0].set_title(f"On {arm_label(target.arm, record.method)}")
            _name_rows(row[0], record.method, target)
        _add_legend(figure, [axes for row in panels for axes in row])
        add_caption(figure, caption(record))
    return figure


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


def _draw_panel(axes: Axes, method: str, target: TransferTarget, metric: str) -> None:
    label, colour = metric_label(metric), look(method).colour
    if metric in target.base:
        _draw_base(axes, target, metric)
    for place, row in enumerate(target.rows):
        value = row.get(metric)
        if value is None:
            _say_why_not(axes, place, "not legal here" if row.is_illegal else "no result")
            continue
        mean, low, high = (
            number * label.factor
            for number in (value.interval.mean, value.interval.low, value.interval.high)
        )
        axes.errorbar(
            [mean],
            [place],
            xerr=[[mean - low], [high - mean]],
            fmt=_MARKERS[row.kind],
            color=colour,
            markerfacecolor=colour if row.kind == "own" else "white",
            capsize=2.5,
            elinewidth=1.2,
            label=_NAMES[row.kind],
        )
    axes.set_xlabel(label.axis)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")


def _draw_base(axes: Axes, target: TransferTarget, metric: str) -> None:
    style, factor = look("base"), metric_label(metric).factor
    interval = target.base[metric]
    axes.axvspan(
        interval.low * factor, interval.high * factor, color=style.colour, alpha=0.10, linewidth=0
    )
    axes.axvline(
        interval.mean * factor,
        color=style.colour,
        linestyle=style.line,
        linewidth=1.3,
        label=arm_label("base", "base"),
    )


def _say_why_not(axes: Axes, place: int, text: str) -> None:
    axes.text(
        0.5,
        place,
        text,
        transform=axes.get_yaxis_transform(),
        ha="center",
        va="center",
        fontsize=7.5,
        color=MUTED,
    )


def _name_rows(axes: Axes, method: str, target: TransferTarget) -> None:
    names = [arm_label(row.source, method) for row in target.rows]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)


def _add_legend(figure: Figure, panels: Sequence[Axes]) -> None:
    shown: dict[str, Artist] = {}
    for axes in panels:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            shown.setdefault(name, handle)
    handles, names = list(shown.values()), list(shown)
    figure.legend(handles, names, loc="outside upper left", ncols=len(shown))
