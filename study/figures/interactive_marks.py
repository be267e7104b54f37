"""Series, levels and texts of a panel as Plotly's traces and annotations."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from study.figures.chart import Axis, Level, Panel, Series, Text
from study.figures.extent import Extent
from study.figures.hover import told_along, told_at
from study.figures.interactive_looks import dash, symbol
from study.figures.style import MUTED

Trace: TypeAlias = dict[str, Any]

_BAND_OPACITY, _LEVEL_OPACITY = 0.2, 0.12
_LEVEL_STEPS = 40
"""A pointer finds a level wherever it is along it."""


def level_traces(level: Level, panel: Panel, ends: tuple[Extent, Extent]) -> Iterator[Trace]:
    """Give a level's band and line, from one end of the panel to the other."""
    is_flat = level.axis == "y"
    along = _between(panel.x, ends[0]) if is_flat else _between(panel.y, ends[1])
    if level.low is not None and level.high is not None:
        low, high = [level.low] * len(along), [level.high] * len(along)
        band = _band(along, low, high, spread=level.axis)
        yield _named(level.name) | band | _filled(level.look.color, _LEVEL_OPACITY)
    across = [level.value] * len(along)
    yield {
        **_named(level.name),
        "x": along if is_flat else across,
        "y": across if is_flat else along,
        "mode": "lines",
        "line": {"color": level.look.color, "dash": dash(level.look.line), "width": 1.5},
        **_told_of_level(level, panel),
    }


def series_traces(series: Series, panel: Panel) -> Iterator[Trace]:
    """Give a series' band, points and rings."""
    if series.low and series.mark != "points":
        along = series.x if series.spread == "y" else series.y
        band = _band(along, series.low, series.high, spread=series.spread)
        yield (
            _named(series.name) | band | _filled(series.look.color, _BAND_OPACITY * series.opacity)
        )
    yield _points(series, panel)
    if series.ringed:
        yield _rings(series)


def annotation(text: Text) -> dict[str, Any]:
    """Give words at their place; without a horizontal one in the middle of the panel."""
    return {
        "text": plain(text.words),
        "x": 0.5 if text.x is None else text.x,
        "y": text.y,
        "xanchor": text.anchor,
        "showarrow": False,
        "font": {"size": 11, "color": MUTED},
    }


def plain(text: str) -> str:
    """Write a text so that Plotly, which reads a little HTML, shows it as it is."""
    return html.escape(text, quote=False).replace("\n", "<br>")


def _points(series: Series, panel: Panel) -> Trace:
    mode = _mode(series)
    trace: Trace = {
        **_named(series.name),
        "x": series.x,
        "y": series.y,
        "mode": mode,
        "opacity": series.opacity,
        **_told(series.name, [told_at(series, panel, i) for i in range(len(series.x))]),
    }
    if "lines" in mode:
        trace["line"] = _line(series)
    if "markers" in mode:
        trace["marker"] = _marker(series)
    if series.low and series.mark == "points":
        trace[f"error_{series.spread}"] = _bars(series)
    return trace


def _mode(series: Series) -> str:
    if series.mark == "points":
        return "markers"
    return "lines+markers" if series.mark == "line" and series.look.marker else "lines"


def _line(series: Series) -> Trace:
    return {
        "color": series.look.color,
        "dash": dash(series.look.line),
        "width": 2,
        "shape": "hv" if series.mark == "steps" else "linear",
    }


def _marker(series: Series) -> Trace:
    return {
        "symbol": symbol(series.look.marker),
        "color": "#ffffff" if series.is_hollow else series.look.color,
        "size": 6 if series.is_hollow else 8,
        "line": {"color": series.look.color, "width": 1.6 if series.is_hollow else 1},
    }


def _bars(series: Series) -> Trace:
    means = series.y if series.spread == "y" else series.x
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - mean for high, mean in zip(series.high, means, strict=True)],
        "arrayminus": [mean - low for low, mean in zip(series.low, means, strict=True)],
        "color": series.look.color,
        "thickness": 1.3,
        "width": 3,
    }


def _rings(series: Series) -> Trace:
    return {
        **_named(series.ring_name),
        "x": [series.x[place] for place in series.ringed],
        "y": [series.y[place] for place in series.ringed],
        "mode": "markers",
        "marker": {"symbol": "circle-open", "size": 15, "color": series.look.color},
        "hoverinfo": "skip",
    }


def _band(
    along: Sequence[float], low: Sequence[float], high: Sequence[float], *, spread: str
) -> Trace:
    there, back = [*along, *reversed(along)], [*high, *reversed(low)]
    return {
        "x": there if spread == "y" else back,
        "y": back if spread == "y" else there,
        "mode": "lines",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _filled(color: str, opacity: float) -> Trace:
    # Colors stay whole, so that a page can put its own in their place.
    return {"fill": "toself", "fillcolor": color, "opacity": opacity}


def _named(name: str) -> Trace:
    """Let all that has one name come and go together."""
    return {"name": plain(name), "legendgroup": plain(name)} if name else {"name": ""}


def _told(name: str, texts: Sequence[str]) -> Trace:
    head = f"<b>{plain(name)}</b><br>" if name else ""
    return {"hoverinfo": "text", "hovertext": [head + plain(text) for text in texts]}


def _told_of_level(level: Level, panel: Panel) -> Trace:
    """Say the same wherever the pointer is; a line without name and words says nothing."""
    if not level.name and not level.hover:
        return {"hoverinfo": "skip"}
    (text,) = _told(level.name, [told_along(level, panel)])["hovertext"]
    return {"hoverinfo": "text", "hovertext": text}


def _between(axis: Axis, ends: Extent) -> list[float]:
    low, high = ends
    shares = [step / _LEVEL_STEPS for step in range(_LEVEL_STEPS + 1)]
    if axis.is_log:
        return [low * (high / low) ** share for share in shares]
    return [low + (high - low) * share for share in shares]
