"""One look for all figures: colors by method, sizes, fonts. No pyplot, no global state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import matplotlib as mpl

WIDTH_INCHES = 7.2
"""Width of a figure over two columns of a journal page (183 mm)."""

MUTED = "#595959"
"""Color of captions and of everything that is not data."""

_RC = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titley": 1.0,  # nothing stands above an axis: Matplotlib need not look at every drawing
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
    """How one arm is drawn, so that it is told apart without its color too.

    Attributes:
        color: From the Okabe-Ito palette, which color-blind readers can tell apart.
        marker: Matplotlib's name of a marker.
        line: Matplotlib's name of a line style.
    """

    color: str
    marker: str
    line: str


_BY_METHOD: Mapping[str, Look] = MappingProxyType(
    {
        "base": Look(color="#000000", marker="s", line="--"),
        "random": Look(color="#0072B2", marker="^", line="-."),
        "challenger": Look(color="#D55E00", marker="o", line="-"),
        "fgsm": Look(color="#009E73", marker="D", line=":"),
        "pgd": Look(color="#CC79A7", marker="v", line=":"),
        "reldrop": Look(color="#E69F00", marker="P", line="-"),
    }
)
_SPARE = tuple(
    Look(color=color, marker=marker, line="-")
    for color, marker in (
        ("#56B4E9", "X"),
        ("#009E73", "<"),
        ("#CC79A7", ">"),
        ("#E69F00", "p"),
        ("#F0E442", "h"),
    )
)

CHANCE_LOOK = Look(color="#7a7a7a", marker="", line=":")
"""What chance alone would give."""

ZERO_LOOK = Look(color="#7a7a7a", marker="", line="-")
"""No difference."""

PRUNED_LOOK = Look(color="#7a7a7a", marker="v", line="-")
"""Trials that were stopped early."""

BEST_LOOK = Look(color="#D55E00", marker="o", line="-")
"""The best of many trials."""

OTHER_LOOK = Look(color="#7a7a7a", marker="o", line="-")
"""The rest of them."""


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


def looks_by_arm(arms: Iterable[tuple[str, str]]) -> dict[str, Look]:
    """Give each arm of a figure its look; arms are pairs of name and method, repeated or not."""
    distinct = dict(arms)
    return dict(zip(distinct, looks(list(distinct.values())), strict=True))


@contextmanager
def styled() -> Iterator[None]:
    """Draw with the project's look; the caller's own settings come back afterwards."""
    with mpl.rc_context(_RC):  # type: ignore[arg-type]
        yield
