"""A chart as Plotly's figure: plain data for a page whose script draws it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator
from typing import Any, TypeAlias

from study.figures.chart import Axis, Chart
from study.figures.extent import Extent
from study.figures.interactive_marks import (
    Trace,
    annotation,
    level_traces,
    plain,
    series_traces,
)
from study.figures.interactive_sheet import Place, Sheet, lay_out
from study.figures.style import MUTED

PlotlyFigure: TypeAlias = dict[str, Any]

_INK, _PAPER, _GRID = "#000000", "#ffffff", "#e4e4e4"
_CLEAR = "rgba(0,0,0,0)"
_FONT = 'system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
_MOST_WHOLE_TICKS = 12
_TITLE_CHARACTERS, _NAME_CHARACTERS, _LEAST_CHARACTERS = 30, 16, 6


def draw(chart: Chart, *, is_narrow: bool = False) -> PlotlyFigure:
    """Draw a chart as the ``data`` and ``layout`` of a Plotly figure, as JSON has them.

    Nothing is asked of Plotly's own classes, which check a value at a time and need minutes for
    a study of many thousand trials: a test asks them whether they know what is drawn here.

    Colors are whole hexadecimal ones, and grays are what is no data: a page may run them from
    its ink (black) to its paper (white) and so follow a dark theme. The background is clear.

    Args:
        chart: What to draw.
        is_narrow: Whether its panels stand in one column, for a phone. The data are the same.
    """
    sheet = lay_out(chart, is_narrow=is_narrow)
    layout = _layout(sheet, is_narrow=is_narrow)
    if chart.shares_y:
        for number, place in enumerate(sheet.places, start=1):
            first = next(n for n, p in enumerate(sheet.places, start=1) if p.row == place.row)
            if first != number:
                layout[_key("yaxis", number)]["matches"] = _key("y", first)
    return {"data": _as_json(list(_traces(sheet))), "layout": _as_json(layout)}


def _traces(sheet: Sheet) -> Iterator[Trace]:
    """Give the traces of all panels; the first of a name stands for it in the legend."""
    named: set[str] = set()
    for number, place in enumerate(sheet.places, start=1):
        for trace in _traces_of(place):
            name = trace["name"]
            is_shown = bool(name) and name not in named and trace.get("showlegend", True)
            if is_shown:
                named.add(name)
            axes = {"xaxis": _key("x", number), "yaxis": _key("y", number)}
            yield {"type": "scatter", **trace, **axes, "showlegend": is_shown}


def _traces_of(place: Place) -> Iterator[Trace]:
    for level in place.panel.levels:
        yield from level_traces(level, place.panel, place.ends)
    for series in place.panel.series:
        yield from series_traces(series, place.panel)


def _layout(sheet: Sheet, *, is_narrow: bool) -> dict[str, Any]:
    inner = sheet.height - sheet.top - sheet.bottom
    layout: dict[str, Any] = {
        "height": sheet.height,
        "margin": {"l": 58, "r": 20, "t": sheet.top, "b": sheet.bottom},
        "paper_bgcolor": _CLEAR,
        "plot_bgcolor": _CLEAR,
        "font": {"family": _FONT, "size": 12, "color": _INK},
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "bgcolor": _PAPER, "font": {"color": _INK}},
        "modebar": {"bgcolor": _CLEAR, "color": MUTED, "activecolor": _INK},
        "dragmode": False if is_narrow else "zoom",
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1 + 26 / inner,
            "yanchor": "bottom",
            "bgcolor": _CLEAR,
        },
        "annotations": [
            one
            for number, place in enumerate(sheet.places, start=1)
            for one in _words(place, number, sheet.characters)
        ],
    }
    for number, place in enumerate(sheet.places, start=1):
        layout |= _axes(place, number, sheet.characters, is_narrow=is_narrow)
    return layout


def _words(place: Place, number: int, characters: int) -> Iterator[dict[str, Any]]:
    """Give a panel's title above it, and the words inside."""
    x, y = _key("x", number), _key("y", number)
    if place.panel.title:
        yield {
            "text": f"<b>{_wrapped(place.panel.title, characters)}</b>",
            "xref": f"{x} domain",
            "yref": f"{y} domain",
            "x": 0,
            "y": 1,
            "xanchor": "left",
            "yanchor": "bottom",
            "yshift": 4,
            "showarrow": False,
            "font": {"size": 13},
        }
    for text in place.panel.texts:
        yield {**annotation(text), "xref": f"{x} domain" if text.x is None else x, "yref": y}


def _axes(place: Place, number: int, characters: int, *, is_narrow: bool) -> dict[str, Any]:
    x, y = place.panel.x, place.panel.y
    # Lines guide the eye from a place to its name: along the rows of a list, else across.
    across = _axis(x, place.ends[0], characters) | {
        "domain": place.x,
        "showgrid": bool(y.ticks),
        "anchor": _key("y", number),
        "fixedrange": is_narrow,
    }
    up = _axis(y, place.ends[1], _TITLE_CHARACTERS) | {
        "domain": place.y,
        "showgrid": not y.ticks,
        "anchor": _key("x", number),
        "fixedrange": is_narrow,
    }
    if x.ticks:
        across["ticktext"] = _names(x, characters // len(x.ticks))
    if y.ticks and is_narrow:
        up["ticktext"] = _names(y, _NAME_CHARACTERS)
    if not place.has_names:
        up |= {"showticklabels": False, "title": {}}
    return {_key("xaxis", number): across, _key("yaxis", number): up}


def _axis(axis: Axis, ends: Extent, characters: int) -> dict[str, Any]:
    low, high = (math.log10(end) for end in ends) if axis.is_log else ends
    return {
        "title": {"text": _wrapped(axis.title, characters), "standoff": 8},
        "type": "log" if axis.is_log else "linear",
        "range": [high, low] if axis.is_reversed else [low, high],
        "gridcolor": _GRID,
        "zeroline": False,
        "showline": True,
        "linecolor": MUTED,
        "ticks": "outside",
        "tickcolor": MUTED,
        "tickfont": {"color": MUTED},
        "automargin": True,
        # Else 0.0002 would be written 200μ.
        "exponentformat": "power" if axis.is_log else "none",
        # Else the last name would be left out where half of it lies beyond the axis.
        "ticklabeloverflow": "allow",
        **_ticks(axis, high - low),
    }


def _ticks(axis: Axis, span: float) -> dict[str, Any]:
    if axis.ticks:
        return {"tickvals": [place for place, _ in axis.ticks], "ticktext": _names(axis, 99)}
    if axis.is_integer and not axis.is_log and span <= _MOST_WHOLE_TICKS:
        return {"dtick": 1}
    return {}


def _names(axis: Axis, characters: int) -> list[str]:
    return [_wrapped(name, max(_LEAST_CHARACTERS, characters)) for _, name in axis.ticks]


def _wrapped(text: str, characters: int) -> str:
    """Break lines that are too long, beside where the text has breaks of its own."""
    lines = (textwrap.wrap(line, characters) for line in text.split("\n"))
    return plain("\n".join(line for wrapped in lines for line in wrapped))


def _key(name: str, number: int) -> str:
    """Give Plotly's name of an axis: the first has no number."""
    return name if number == 1 else f"{name}{number}"


def _as_json(value: Any) -> Any:  # noqa: ANN401 (anything that Plotly is given)
    """Make lists of tuples, and nothing of numbers that are none."""
    if isinstance(value, dict):
        return {key: _as_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
