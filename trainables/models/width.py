"""The width of a network: one factor on all its channels and hidden units."""

from __future__ import annotations

from trainables.checks import require


def scaled(channels: int, width: float) -> int:
    """Scale a number of channels or hidden units; at least one is left.

    Example:
        >>> scaled(128, 1 / 8), scaled(4, 1 / 64)
        (16, 1)
    """
    return max(1, round(channels * width))


def check_width(width: float) -> None:
    """Check the factor."""
    require(width >= 1 / 64, "width", "must be at least 1/64", width)
