"""Colors, shapes, dashes and fonts of all charts, on light and on dark paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

PAPER, INK, MUTED, LINE = "#ffffff", "#1b1f24", "#57606a", "#dde2e7"
NEUTRAL = "#7a828c"
"""Color of pruned trials and chance levels."""

FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
"""Liberation Sans is inside vl-convert, and Arial has the same metrics."""

SCHEME = ("#d9c74a", "#5fae6b", "#2a7f8e", "#3b528b", "#440154")
"""Viridis without its brightest end: the lowest to the best objective on light paper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Color, shape and dash of one arm, distinct without the color too.

    Attributes:
        color: Distinct to color-blind readers.
        shape: Vega's name of a symbol.
        dash: Lengths of strokes and gaps; empty for a solid line.
    """

    color: str
    shape: str
    dash: tuple[int, ...] = ()

    def as_line(self) -> Look:
        """Return the look of a line without symbols."""
        return replace(self, shape="stroke")


_BY_METHOD: Mapping[str, Look] = MappingProxyType(
    {
        "base": Look(color="#434b54", shape="square"),
        "random": Look(color="#c2630a", shape="triangle-up", dash=(6, 3)),
        "challenger": Look(color="#0b66b8", shape="circle"),
        "fgsm": Look(color="#008560", shape="diamond", dash=(2, 2)),
        "pgd": Look(color="#b3568d", shape="triangle-down", dash=(2, 2)),
        "reldrop": Look(color="#8a6d00", shape="cross"),
    }
)
_SPARE = (
    Look(color="#7c5cc4", shape="triangle-right", dash=(8, 2, 2, 2)),
    Look(color="#008560", shape="triangle-left", dash=(4, 2)),
    Look(color="#b3568d", shape="diamond", dash=(8, 3)),
    Look(color="#8a6d00", shape="cross", dash=(3, 3)),
    Look(color="#3f94c8", shape="square", dash=(1, 2)),
)
_ON_DARK = MappingProxyType(
    {
        PAPER: "#14171b",
        INK: "#e6e8eb",
        MUTED: "#a3adb8",
        LINE: "#2c323a",
        NEUTRAL: "#8d96a1",
        "#434b54": "#c3cad2",
        "#c2630a": "#f19a3e",
        "#0b66b8": "#5aa9ee",
        "#008560": "#2fc39a",
        "#b3568d": "#e48fc0",
        "#8a6d00": "#d8b43c",
        "#3f94c8": "#8ccbf2",
        "#7c5cc4": "#b49cf0",
        # Viridis' dark end vanishes on dark paper, so that there the best is the brightest.
        **dict(zip(SCHEME, ("#4f3a72", "#3f5f9a", "#2f8f98", "#6cc070", "#f2e35c"), strict=True)),
    }
)


def look_of(method: str) -> Look:
    """Return the look of a method; one without its own gets the first spare look."""
    return _BY_METHOD.get(method, _SPARE[0])


def distinct_looks(methods: Sequence[str]) -> tuple[Look, ...]:
    """Return the looks of several arms in one chart, so that no two are the same.

    The first arm of a method has the method's own look, further ones the spare looks in turn.
    """
    given: list[Look] = []
    for method in methods:
        wanted = look_of(method)
        free = (wanted, *(spare for spare in _SPARE if spare not in given))
        given.append(next((one for one in free if one not in given), wanted))
    return tuple(given)


def looks_by_arm(arms: Iterable[tuple[str, str]]) -> dict[str, Look]:
    """Return each arm's look; arms are pairs of name and method, repeated or not."""
    distinct = dict(arms)
    return dict(zip(distinct, distinct_looks(list(distinct.values())), strict=True))


def on_dark_paper() -> dict[str, str]:
    """Return the color on dark paper of every color on light paper."""
    return dict(_ON_DARK)


def config() -> dict[str, Any]:
    """Return Vega-Lite's configuration on light paper; the charts hold nothing of it."""
    text = {"font": FONT, "fontSize": 11, "color": INK}
    return {
        "background": "transparent",
        "font": FONT,
        "padding": 4,
        "view": {"stroke": None},
        "concat": {"spacing": 26},
        "axis": {
            "domainColor": NEUTRAL,
            "gridColor": LINE,
            "tickColor": NEUTRAL,
            "tickSize": 4,
            "labelColor": MUTED,
            "labelFontSize": 11,
            "labelLimit": 150,
            "labelOverlap": "greedy",
            "labelSeparation": 6,
            "labelFlush": False,
            "titleColor": INK,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
            "titleLimit": 0,
            "titlePadding": 6,
        },
        # A long title reaches below the labels of the other axis rather than out of a phone.
        "axisX": {"grid": False, "titleAnchor": "end"},
        "axisY": {"domain": False, "ticks": False, "labelPadding": 6},
        "legend": {
            "orient": "top",
            "direction": "horizontal",
            "labelColor": INK,
            "labelFontSize": 12,
            "labelLimit": 0,
            "columnPadding": 18,
            "rowPadding": 3,
            "symbolSize": 90,
            "symbolOpacity": 1,
            "symbolStrokeWidth": 2,
            "offset": 14,
            "title": None,
        },
        "text": {**text, "align": "left", "baseline": "alphabetic"},
        "line": {"strokeWidth": 2},
        "rule": {"strokeWidth": 1.5},
        "style": {
            "heading": {**text, "fontSize": 12, "fontWeight": "bold"},
            "unit": {**text, "color": MUTED},
            "zero": {"color": INK, "strokeWidth": 1},
            "chance": {"color": INK, "strokeWidth": 1, "strokeDash": [3, 3]},
        },
    }
