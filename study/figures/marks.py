"""Layers of a panel on one pair of axes: bands, lines, points, intervals and levels.

Layers share a data frame with the columns ``x``, ``y``, ``low``, ``high``, ``arm`` (what the
legend calls it), ``is_filled`` and ``told`` (what a pointer is told), as far as they draw them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import altair as alt
import pandas as pd

from study.figures.theme import PAPER, Look

Layers: TypeAlias = list[alt.Chart]
Panel: TypeAlias = alt.LayerChart | alt.VConcatChart

_SIGNED = "(datum.value > 0 ? '+' : '') + datum.label"
_OWN = alt.Resolve(scale=alt.ScaleResolveMap(xOffset="independent"))
_SLANT_FROM = 9
"""Names on a horizontal axis with more characters are slanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis of a panel, the same for all its layers.

    Attributes:
        title: Below a horizontal axis; a vertical one is named in the panel's heading.
        names: Values in order, where they are not numbers.
        ticks: Numbers that are ticked, or empty for Vega's choice.
        is_integer: Whether only whole numbers are ticked.
        is_log: Whether the scale is logarithmic.
        is_signed: Whether positive numbers have a sign.
        is_hidden: Whether it has neither labels nor grid.
        domain: Its ends, or None for those of the data.
    """

    title: str = ""
    names: tuple[str, ...] = ()
    ticks: tuple[float, ...] = ()
    is_integer: bool = False
    is_log: bool = False
    is_signed: bool = False
    is_hidden: bool = False
    domain: tuple[float, float] | None = None

    def settings(self, channel: Literal["x", "y"]) -> dict[str, Any]:
        """Return title, scale and axis for an encoding."""
        axis: dict[str, Any] = {"grid": channel == "y"}
        if self.names:
            is_long = max(map(len, self.names)) > _SLANT_FROM
            slant = {"labelAngle": -30, "labelAlign": "right", "labelOverlap": False}
            axis |= slant if channel == "x" and is_long else {"labelAngle": 0}
            scale: dict[str, Any] = {"domain": list(self.names)}
        else:
            scale = {"type": "log"} if self.is_log else {"type": "linear", "zero": False}
            if self.domain:
                scale |= {"domain": list(self.domain), "nice": False}
            elif channel == "x":
                scale |= {"nice": False, "padding": 10}
            axis |= {"values": list(self.ticks)} if self.ticks else {"tickCount": 5}
            axis |= {"tickMinStep": 1} if self.is_integer else {}
            axis |= {"labelExpr": _SIGNED} if self.is_signed else {}
        if self.is_hidden:
            axis |= {"labels": False, "grid": False, "ticks": False, "domain": False}
        return {
            "title": self.title or None,
            "scale": alt.Scale(**scale),
            "axis": alt.Axis(**axis),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """The two axes of a panel, and the looks of the arms in it by their name in the legend."""

    x: Axis
    y: Axis
    looks: Mapping[str, Look]
    has_legend: bool = True

    def at(self, channel: Literal["x", "y"], field: str) -> Any:  # noqa: ANN401
        """Return the encoding of a field along an axis."""
        make, axis = (alt.X, self.x) if channel == "x" else (alt.Y, self.y)
        return make(f"{field}:{'N' if axis.names else 'Q'}", **axis.settings(channel))

    def look(self, *channels: Literal["color", "shape"]) -> dict[str, Any]:
        """Return encodings of an arm's look; its legend is left out where there is one arm."""
        made = {"color": alt.Color, "shape": alt.Shape}
        is_told = self.has_legend and len(self.looks) > 1
        return {
            channel: made[channel](
                "arm:N",
                scale=alt.Scale(
                    domain=list(self.looks),
                    range=[getattr(look, channel) for look in self.looks.values()],
                ),
                legend=alt.Legend(title=None) if is_told else None,
            )
            for channel in channels
        }

    def dashed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return rows with the strokes of their arm's line, which are drawn as they stand."""
        dashes = [list(self.looks[arm].dash) or [1, 0] for arm in frame.get("arm", ())]
        return frame.assign(dash=dashes)


_DASH = alt.StrokeDash("dash:N", scale=None)


def band(frame: pd.DataFrame, plane: Plane, *, step: bool = False) -> Layers:
    """Draw the intervals as a band."""
    shape = "step-after" if step else "linear"
    return _drawn(
        _chart(frame, "area", opacity=0.16, interpolate=shape),
        x=plane.at("x", "x"),
        y=plane.at("y", "low"),
        y2="high:Q",
        **plane.look("color"),
    )


def line(
    frame: pd.DataFrame,
    plane: Plane,
    *,
    detail: str | None = None,
    mark: Mapping[str, Any] = MappingProxyType({}),
) -> Layers:
    """Draw a line per arm, or per value of a further column."""
    return _drawn(
        _chart(plane.dashed(frame), "line", **mark),
        x=plane.at("x", "x"),
        y=plane.at("y", "y"),
        strokeDash=_DASH,
        **plane.look("color"),
        **({"detail": f"{detail}:N"} if detail else {}),
    )


def points(
    frame: pd.DataFrame, plane: Plane, *, offset: alt.XOffset | None = None, size: int = 46
) -> Layers:
    """Draw a symbol per row, filled where ``is_filled`` (everywhere without that column)."""
    encoding = {
        "x": plane.at("x", "x"),
        "y": plane.at("y", "y"),
        **plane.look("color", "shape"),
        **({} if offset is None else {"xOffset": offset}),
        **_told(frame),
    }
    filled = frame if "is_filled" not in frame else frame[frame["is_filled"]]
    open_ = frame.drop(filled.index)
    look = {"fill": PAPER, "size": size, "opacity": 1, "strokeWidth": 1.6}
    return [
        *_drawn(_chart(open_, "point", **look), **encoding),
        *_drawn(_chart(filled, "point", filled=True, size=size, opacity=1), **encoding),
    ]


def bars(
    frame: pd.DataFrame,
    plane: Plane,
    *,
    along: Literal["x", "y"] = "y",
    offset: alt.XOffset | None = None,
) -> Layers:
    """Draw an interval per row from end to end: a bootstrap's need not hold its mean."""
    across: Literal["x", "y"] = "x" if along == "y" else "y"
    return _drawn(
        _chart(frame, "rule", strokeWidth=1.8),
        **{
            along: plane.at(along, "low"),
            f"{along}2": "high:Q",
            across: plane.at(across, across),
            **plane.look("color"),
            **({} if offset is None else {"xOffset": offset}),
        },
    )


def dots(frame: pd.DataFrame, plane: Plane) -> Layers:
    """Draw a small dot per row: the replicas behind a mean."""
    return _drawn(
        _chart(frame, "circle", size=14, opacity=0.45),
        x=plane.at("x", "x"),
        y=plane.at("y", "y"),
        **plane.look("color"),
    )


def levels(frame: pd.DataFrame, plane: Plane, *, axis: Literal["x", "y"] = "y") -> Layers:
    """Draw a line across the panel per row at ``y`` (or ``x``), with the band of its interval."""
    area = _drawn(
        _chart(frame, "rect", opacity=0.1),
        **{axis: plane.at(axis, "low"), f"{axis}2": "high:Q", **plane.look("color")},
    )
    rules = _drawn(
        _chart(plane.dashed(frame), "rule", strokeWidth=1.8),
        strokeDash=_DASH,
        **{axis: plane.at(axis, axis), **plane.look("color"), **_told(frame)},
    )
    return [*area, *rules]


def rings(frame: pd.DataFrame, plane: Plane) -> Layers:
    """Draw a ring around every row."""
    return _drawn(
        _chart(frame, "point", shape="circle", size=230, strokeWidth=1.4, opacity=1),
        x=plane.at("x", "x"),
        y=plane.at("y", "y"),
        **plane.look("color"),
    )


def rule_at(
    value: float, plane: Plane, *, axis: Literal["x", "y"] = "y", style: str = "zero"
) -> Layers:
    """Draw a line across the panel at a value: no difference (``zero``), or ``chance``."""
    at = pd.DataFrame({"at": [value]})
    return _drawn(_chart(at, "rule", style=style), **{axis: plane.at(axis, "at")})


def trend(frame: pd.DataFrame, plane: Plane, *, is_joined: bool = True, size: int = 46) -> Layers:
    """Draw means with their intervals: a line in its band, or single points with bars.

    Choices have no order, so that a line from one to the next would say nothing.
    """
    spread = [*band(frame, plane), *line(frame, plane)] if is_joined else bars(frame, plane)
    return [*spread, *points(frame, plane, size=size)]


def words(
    frame: pd.DataFrame,
    plane: Plane,
    *,
    at: float | None = None,
    **mark: Any,  # noqa: ANN401
) -> Layers:
    """Write ``words`` beside every row, on a halo of paper that keeps them from lines below.

    Args:
        frame: Rows with ``words``.
        plane: The axes.
        at: Pixels from the left end of the panel; without it the words stand at ``x``.
        mark: Further properties of the marks.
    """
    x = plane.at("x", "x") if at is None else alt.value(at)
    encoding = {"x": x, "y": plane.at("y", "y"), "text": "words:N"}
    halo = {"stroke": PAPER, "strokeWidth": 4, "strokeJoin": "round"}
    return [
        *_drawn(_chart(frame, "text", style="unit", **halo, **mark), **encoding),
        *_drawn(_chart(frame, "text", style="unit", **mark), **encoding),
    ]


DAGGER = "†"
"""Marks what is not to be trusted: some replicas ended at chance."""


def daggers(frame: pd.DataFrame, plane: Plane) -> Layers:
    """Write the ``words`` of a row above its point, where it has any."""
    return words(frame[frame["words"] != ""], plane, dx=7, dy=-7)


def panel(*layers: Layers, title: str = "", unit: str = "", height: int = 180) -> Panel:
    """Put layers together below a heading and the name of the vertical axis with its unit.

    The heading is a mark: a title of Vega's own moves with the labels of the axis.
    """
    heads = [_head(title, "heading", -24 if unit else -10)] if title else []
    heads += [_head(unit, "unit", -9)] if unit else []
    made = alt.LayerChart(height=height)
    # Set afterwards: the constructor copies all layers four times.
    made.layer = [one for some in (*layers, heads) for one in some]
    return made


def stack(*panels: Panel) -> Panel:
    """Put panels below each other that stay together."""
    made = alt.VConcatChart(spacing=18, resolve=_OWN)
    made.vconcat = list(panels)
    return made


def grid(panels: Sequence[Panel], *, columns: int, least: int) -> alt.ConcatChart:
    """Lay panels out in rows, in fewer columns where one would be narrower than ``least``."""
    made = alt.ConcatChart(columns=columns, usermeta={"columns": columns, "least": least})
    made.concat = list(panels)
    return made


def _chart(frame: pd.DataFrame, mark: Any, **properties: Any) -> alt.Chart:  # noqa: ANN401
    return alt.Chart(frame, mark=alt.MarkDef(type=mark, **properties))


def _drawn(chart: alt.Chart, **encoding: Any) -> Layers:  # noqa: ANN401
    """Return a chart with its encodings as layers; none without rows."""
    return [] if len(chart.data) == 0 else [chart.encode(**encoding)]


def _told(frame: pd.DataFrame) -> dict[str, str]:
    return {"tooltip": "told:N"} if "told" in frame else {}


def _head(text: str, style: str, y: int) -> alt.Chart:
    return _chart(pd.DataFrame({"text": [text]}), "text", style=style).encode(
        x=alt.value(0), y=alt.value(y), text="text:N"
    )
