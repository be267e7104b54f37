"""Times of several ways to do the same, taken in turn: what a shared machine does hits them all.

A ratio is taken within each round, A B A B, and its median is what counts: a machine that is
slow for a while is slow for both. Nothing but ratios is ever claimed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

MIN_ROUNDS: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Quartiles:
    """What was measured in several rounds.

    Attributes:
        median: The middle of the rounds.
        low: First quartile.
        high: Third quartile.
        rounds: How many there were.
    """

    median: float
    low: float
    high: float
    rounds: int


def time_interleaved(
    ways: Mapping[str, Callable[[], float]], rounds: int = MIN_ROUNDS
) -> dict[str, tuple[float, ...]]:
    """Measure each way once per round, in the order given; one round before is not counted.

    Args:
        ways: By name, what does the work once and gives what it took, in seconds.
        rounds: How often each is measured.

    Returns:
        Seconds by way and round.
    """
    for way in ways.values():
        way()
    measured: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            measured[name].append(way())
    return {name: tuple(times) for name, times in measured.items()}


def quartiles(values: tuple[float, ...]) -> Quartiles:
    """Give median and quartiles of a measure per round.

    Example:
        >>> quartiles((1.0, 2.0, 3.0))
        Quartiles(median=2.0, low=1.5, high=2.5, rounds=3)
    """
    if len(values) == 1:
        return Quartiles(median=values[0], low=values[0], high=values[0], rounds=1)
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Quartiles(median=median, low=low, high=high, rounds=len(values))


def paired_ratio(times: tuple[float, ...], to: tuple[float, ...]) -> Quartiles:
    """Give how many times as long one way took as another, round by round."""
    return quartiles(tuple(a / b for a, b in zip(times, to, strict=True)))


def as_plain_data(spreads: Mapping[str, Quartiles]) -> dict[str, Any]:
    """Give measures as plain data: each median under its name, and all quartiles together."""
    medians = {name: found.median for name, found in spreads.items()}
    return {**medians, "quartiles": {name: [s.low, s.high] for name, s in spreads.items()}}
