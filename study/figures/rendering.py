"""Charts as specifications, SVG and PNG, by vl-convert: no browser, no network."""

from __future__ import annotations

import io
import json
import re
import textwrap
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, TypeAlias
from xml.sax.saxutils import escape

import altair as alt
import vl_convert
from PIL import Image

from study.figures.theme import FONT, INK, MUTED, PAPER, config
from study.records.escaping import visible

Chart: TypeAlias = alt.ConcatChart
Specification: TypeAlias = dict[str, Any]

STILL_WIDTH = 860
"""Width of a picture in pixels."""

_SCALE = 2
_COLORS = 256
_LINE, _TITLE_LINE, _MARGIN = 16, 24, 12
_CHARACTER = 5.2
"""Mean width of a character of a caption in pixels; none of ours is wider in the mean."""

_VIEW_BOX = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
_SPACING, _AXIS = 26, 60
_SYMBOL, _LETTER = 40, 6.6
"""Widths of a legend's symbol with the space around it, and of a letter of its names."""

_NESTED = ("concat", "hconcat", "vconcat")


def specification(chart: Chart, *, validate: bool = False) -> Specification:
    """Return a chart as Vega-Lite's JSON; widths are set by :func:`fitted`.

    Args:
        chart: The chart.
        validate: Whether to check it by Vega-Lite's schema, which takes seconds.
    """
    with alt.data_transformers.enable("default", max_rows=None):
        spec: Specification = _visible(chart.to_dict(validate=validate))
    colors = [layer["encoding"].get("color", {}) for layer in _layers(spec)]
    names = [name for one in colors if one.get("legend") for name in one["scale"]["domain"]]
    spec["usermeta"]["entry"] = _SYMBOL + _LETTER * max(map(len, names), default=0)
    return spec


def _visible(part: Any) -> Any:  # noqa: ANN401 (JSON)
    """Return a part of a specification with all its texts as XML and terminals may show them."""
    if isinstance(part, str):
        return visible(part)
    if isinstance(part, dict):
        return {visible(key): _visible(value) for key, value in part.items()}
    return list(map(_visible, part)) if isinstance(part, list) else part


def to_json(spec: Specification) -> str:
    """Return a specification as JSON; no character in it can end the element that it stands in."""
    text = json.dumps(spec, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c")


def fitted(spec: Specification, width: int) -> Specification:
    """Return a specification with columns and widths of panels that fill a width.

    Axes take what their labels need: panels are drawn once to measure that. The page's script
    does the same (``page.js``).
    """
    spec = deepcopy(spec)
    columns, least, entry = (spec["usermeta"][key] for key in ("columns", "least", "entry"))
    spec["config"] = {"legend": {"columns": max(1, int(width / entry))}}
    columns = max(1, min(columns, len(spec["concat"]), (width + _SPACING) // (least + _SPACING)))
    spec["columns"] = columns
    own = (width - (columns - 1) * _SPACING) / columns - _AXIS
    _widen(spec, own)
    own += (width - _drawn_width(spec)) / columns
    _widen(spec, own)
    # Other widths may have other ticks, whose labels take more.
    excess = _drawn_width(spec) - width
    if excess > 1:
        _widen(spec, own - excess / columns)
    return spec


def _drawn_width(spec: Specification) -> float:
    found = _VIEW_BOX.search(_svg(spec))
    assert found
    return float(found[1])


def to_svg(spec: Specification, *, width: int = STILL_WIDTH) -> str:
    """Return the picture of a chart as SVG, on transparent paper."""
    return _svg(fitted(spec, width))


def with_words(svg: str, title: str, caption: str) -> str:
    """Return a picture with its title above it and its caption below, on white paper."""
    found = _VIEW_BOX.search(svg)
    assert found
    width, height = float(found[1]), float(found[2])
    lines = textwrap.wrap(visible(caption), int((width - 2 * _MARGIN) / _CHARACTER))
    top, full = _MARGIN + _TITLE_LINE, width + 2 * _MARGIN
    bottom = top + height + _LINE
    texts = [_text(title, _MARGIN + 14, size=15, color=INK, weight="bold")]
    texts += [
        _text(line, bottom + i * _LINE, size=11, color=MUTED) for i, line in enumerate(lines)
    ]
    total = bottom + len(lines) * _LINE
    inner = svg[svg.index("<svg") :]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'version="1.1" width="{full:g}" height="{total:g}" viewBox="0 0 {full:g} {total:g}">'
        f'<rect width="{full:g}" height="{total:g}" fill="{PAPER}"/>{"".join(texts)}'
        f'<g transform="translate({_MARGIN},{top})">{inner}</g></svg>'
    )


def to_png(svg: str) -> bytes:
    """Return a picture as PNG of twice its size, with a palette of 256 colors."""
    image = Image.open(io.BytesIO(vl_convert.svg_to_png(svg, scale=_SCALE)))
    stream = io.BytesIO()
    image.convert("RGB").quantize(_COLORS, dither=Image.Dither.NONE).save(
        stream, "png", optimize=True
    )
    return stream.getvalue()


def _svg(spec: Specification) -> str:
    svg: str = vl_convert.vegalite_to_svg(spec, config=config())
    return svg


def _widen(spec: Specification, width: float) -> None:
    for unit in _units(spec):
        unit["width"] = max(40, int(width))


def _units(spec: Specification) -> Iterator[Specification]:
    nested = [one for key in _NESTED for one in spec.get(key, ())]
    if not nested:
        yield spec
    for one in nested:
        yield from _units(one)


def _layers(spec: Specification) -> Iterator[Specification]:
    for unit in _units(spec):
        yield from unit["layer"]


def _text(words: str, y: float, *, size: int, color: str, weight: str = "normal") -> str:
    return (
        f'<text x="{_MARGIN}" y="{y:g}" font-family="{FONT}" font-size="{size}px" '
        f'font-weight="{weight}" fill="{color}">{escape(visible(words))}</text>'
    )
