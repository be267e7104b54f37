"""One look for all figures: colours by method, sizes, captions. No pyplot, no global state."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

WIDTH_INCHES = 7.2
"""Width of a figure over two columns of a journal page (183 mm)."""

MUTED = "#595959"
"""Colour of captions and of everything that is not data."""

_CAPTION = "caption"
_CHARACTERS_PER_INCH = 18.2

_RC = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "challenger-study",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How one arm is drawn, so that it is told apart without its colour too.

    Attributes:
        colour: From the Okabe-Ito palette, which colour-blind readers can tell apart.
        marker: Matplotlib's name of a marker.
        line: Matplotlib's name of a line style.
    """

    colour: str
    marker: str
    line: str


_BY_METHOD: Mapping[str, Look] = MappingProxyType(
    {
        "base": Look(colour="#000000", marker="s", line="--"),
        "random": Look(colour="#0072B2", marker="^", line="-."),
        "challenger": Look(colour="#D55E00", marker="o", line="-"),
        "fgsm": Look(colour="#009E73", marker="D", line=":"),
        "pgd": Look(colour="#CC79A7", marker="v", line=":"),
        "reldrop": Look(colour="#E69F00", marker="P", line="-"),
    }
)
_SPARE = tuple(
    Look(colour=colour, marker=marker, line="-")
    for colour, marker in (
        ("#56B4E9", "X"),
        ("#009E73", "<"),
        ("#CC79A7", ">"),
        ("#E69F00", "p"),
        ("#F0E442", "h"),
    )
)


def look(method: str) -> Look:
    """Give the look of a method; one without its own gets the first spare look."""
    return _BY_METHOD.get(method, _SPARE[0])


def looks(methods: Sequence[str]) -> tuple[Look, ...]:
    """Give the looks of several arms in one figure, so that no two are the same.

    The first arm of a method has the method's own look, further ones the spare looks in turn.
    """
    given: list[Look] = []
    for method in methods:
        wanted = look(method)
        free = (wanted, *(spare for spare in _SPARE if spare not in given))
        given.append(next((one for one in free if one not in given), wanted))
    return tuple(given)


@contextmanager
def styled() -> Iterator[None]:
    """Draw with the project's look; the caller's own settings come back afterwards."""
    with mpl.rc_context(_RC):  # type: ignore[arg-type]
        yield


def new_figure(height_inches: float) -> Figure:
    """Make an empty figure of the usual width whose layout avoids overlaps."""
    layout = ConstrainedLayoutEngine(w_pad=0.07, h_pad=0.05, wspace=0.03, hspace=0.03)
    return Figure(figsize=(WIDTH_INCHES, height_inches), layout=layout)


def add_caption(figure: Figure, text: str) -> None:
    """Write the caption below the axes, wrapped to the width."""
    wrapped = textwrap.fill(text, int(figure.get_figwidth() * _CHARACTERS_PER_INCH))
    caption = figure.supxlabel(wrapped, x=0.01, ha="left", fontsize=7.5, color=MUTED)
    caption.set_gid(_CAPTION)


def add_legend(figure: Figure, axes: Axes) -> None:
    """Put one legend for all panels above them, from what is drawn in one of them."""
    handles, names = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, names, loc="outside upper left", ncols=min(len(names), 5))


def use_integer_ticks(axes: Axes) -> None:
    """Tick the horizontal axis at whole numbers only."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))


def render(figure: Figure, kind: str, *, has_caption: bool = True) -> bytes:
    """Render a figure as ``png`` (200 dots per inch) or ``svg``; equal figures, equal bytes.

    Args:
        figure: What to render.
        kind: ``png`` or ``svg``.
        has_caption: False leaves the caption out, for pages that set it as text.
    """
    stream = io.BytesIO()
    captions = figure.findobj(lambda artist: artist.get_gid() == _CAPTION)
    for caption in captions:
        caption.set_visible(has_caption)
        caption.set_in_layout(has_caption)
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with styled():
        figure.savefig(stream, format=kind, dpi=200, metadata=metadata)
    return stream.getvalue()
