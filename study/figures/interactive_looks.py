"""What Plotly calls the markers and lines of a look."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_SYMBOLS: Mapping[str, str] = MappingProxyType(
    {
        "o": "circle",
        ".": "circle",
        "s": "square",
        "D": "diamond",
        "d": "diamond-tall",
        "^": "triangle-up",
        "v": "triangle-down",
        "<": "triangle-left",
        ">": "triangle-right",
        "P": "cross",
        "X": "x",
        "p": "pentagon",
        "h": "hexagon",
        "*": "star",
        "x": "x-thin",
        "+": "cross-thin",
        "|": "line-ns",
        "_": "line-ew",
    }
)
_DASHES: Mapping[str, str] = MappingProxyType(
    {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"}
)


def symbol(marker: str) -> str:
    """Give Plotly's name of one of Matplotlib's markers.

    Raises:
        ValueError: If it has none.

    Example:
        >>> symbol("^")
        'triangle-up'
    """
    if marker not in _SYMBOLS:
        raise ValueError(f"Look: no symbol for marker {marker!r}; use one of {list(_SYMBOLS)}")
    return _SYMBOLS[marker]


def dash(line: str) -> str:
    """Give Plotly's name of one of Matplotlib's line styles.

    Raises:
        ValueError: If it has none.

    Example:
        >>> dash("-.")
        'dashdot'
    """
    if line not in _DASHES:
        raise ValueError(f"Look: no dashes for line {line!r}; use one of {list(_DASHES)}")
    return _DASHES[line]
