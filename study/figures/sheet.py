"""The sheet that a figure is drawn on: its size, legend, caption, and their places, found once."""

from __future__ import annotations

import io
import textwrap
import xml.etree.ElementTree as ET
from collections.abc import Mapping

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from study.figures.style import MUTED, WIDTH_INCHES, styled

_CAPTION = "caption"
_SVG = "http://www.w3.org/2000/svg"
_CHARACTERS_PER_INCH = 18.2
_MOST_COLUMNS = 5
_GAP_INCHES = 0.1
_PLACES = 9


def new_figure(height_inches: float) -> Figure:
    """Make an empty figure of the usual width whose layout avoids overlaps.

    Args:
        height_inches: Height of its panels; legend and caption come on top of it.
    """
    layout = ConstrainedLayoutEngine(w_pad=0.07, h_pad=0.05, wspace=0.03, hspace=0.03)
    return Figure(figsize=(WIDTH_INCHES, height_inches), layout=layout)


def finish(figure: Figure, caption: str, handles: Mapping[str, Artist] | None = None) -> None:
    """Add legend and caption, grow the figure by their heights, and lay it out for good.

    Constrained layout measures every text twice; each file of a figure would do it again.

    Args:
        figure: What is drawn.
        caption: Set below the panels, wrapped to the width.
        handles: What the legend shows by its name; nothing for none.
    """
    extra = _add_caption(figure, caption) + (_add_legend(figure, handles) if handles else 0.0)
    figure.set_figheight(figure.get_figheight() + extra)
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.execute(figure)
    figure.set_layout_engine(None)
    for axes in figure.axes:
        # The last bits depend on the order in which the layout is solved, and names in the file
        # are made of them.
        axes.set_position(Bbox(axes.get_position().get_points().round(_PLACES)))


def render(figure: Figure, kind: str) -> bytes:
    """Render a figure as ``png`` (200 dots per inch) or ``svg``; equal figures, equal bytes."""
    return _save(figure, kind, None)


def render_without_caption(figure: Figure, kind: str) -> bytes:
    """Render a figure without its caption, for pages that set it as text."""
    caption = _caption_of(figure)
    part = _above(figure, caption)
    caption.set_visible(False)
    content = _save(figure, kind, part)
    caption.set_visible(True)
    return content


def cut_caption(figure: Figure, svg: bytes) -> bytes:
    """Take the caption out of a figure's SVG: a tenth of the time of rendering it anew."""
    for prefix, space in (("", _SVG), ("xlink", "http://www.w3.org/1999/xlink")):
        ET.register_namespace(prefix, space)
    root = ET.fromstring(svg)
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    (caption,) = root.iterfind(f".//*[@id='{_CAPTION}']")
    # What it draws its characters with is used further on in the file.
    kept = list(caption.iter(f"{{{_SVG}}}defs"))
    caption[:] = kept
    part = _above(figure, _caption_of(figure))
    width, height = part.width * 72, part.height * 72
    root.set("viewBox", f"0 0 {width:g} {height:g}")
    root.set("width", f"{width:g}pt")
    root.set("height", f"{height:g}pt")
    return bytes(ET.tostring(root, encoding="utf-8"))


def _save(figure: Figure, kind: str, part: Bbox | None) -> bytes:
    stream = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with styled():
        figure.savefig(stream, format=kind, dpi=200, metadata=metadata, bbox_inches=part)
    return stream.getvalue()


def _add_caption(figure: Figure, text: str) -> float:
    """Write the caption; gives its height in inches."""
    wrapped = textwrap.fill(text, int(figure.get_figwidth() * _CHARACTERS_PER_INCH))
    caption = figure.supxlabel(wrapped, x=0.01, ha="left", fontsize=7.5, color=MUTED)
    caption.set_gid(_CAPTION)
    return float(caption.get_window_extent().height) / figure.dpi + _GAP_INCHES


def _add_legend(figure: Figure, handles: Mapping[str, Artist]) -> float:
    """Put one legend above all panels, in as many columns as fit; gives its height in inches."""
    for columns in range(min(len(handles), _MOST_COLUMNS), 0, -1):
        legend = _legend(figure, handles, columns)
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            break
        legend.remove()
    return float(legend.get_window_extent().height) / figure.dpi


def _legend(figure: Figure, handles: Mapping[str, Artist], columns: int) -> Legend:
    return figure.legend(
        list(handles.values()), list(handles), loc="outside upper left", ncols=columns
    )


def _caption_of(figure: Figure) -> Text:
    (caption,) = figure.findobj(lambda artist: artist.get_gid() == _CAPTION)
    assert isinstance(caption, Text)
    return caption


def _above(figure: Figure, caption: Text) -> Bbox:
    """Give the part of a figure above its caption, in inches."""
    width, height = figure.get_size_inches()
    with styled():
        top = caption.get_window_extent().y1 / figure.dpi
    return Bbox.from_extents(0, top, width, height)
