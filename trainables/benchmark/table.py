"""A plain table of text."""

from __future__ import annotations

from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    r"""Lay cells out in columns as wide as need be.

    Example:
        >>> print("\n".join(table(("a", "b"), [("1", "2"), ("333", "4")])))
        a    b
        1    2
        333  4
    """
    cells = [header, *rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(header))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
