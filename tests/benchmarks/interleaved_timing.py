"""Interleaved timing of alternatives (A B A B …), so that a busy machine slows all of them.

Ratios are taken within each round and summarized by their median; only ratios are claimed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

MIN_ROUNDS: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Quartiles:
    """Median, first and third quartile (``low``, ``high``) of several rounds."""

    median: float
    low: float
    high: float
    rounds: int


def time_interleaved(
    timers: Mapping[str, Callable[[], float]], rounds: int = MIN_ROUNDS
) -> dict[str, tuple[float, ...]]:
    """Call each timer once per round, in the order given, after one uncounted round.

    Args:
        timers: By name a function that does the work once and returns its seconds.
        rounds: Number of counted rounds.

    Returns:
        Seconds by name and round.
    """
    for timer in timers.values():
        timer()
    measured: dict[str, list[float]] = {name: [] for name in timers}
    for _ in range(rounds):
        for name, timer in timers.items():
            measured[name].append(timer())
    return {name: tuple(times) for name, times in measured.items()}


def quartiles(values: tuple[float, ...]) -> Quartiles:
    """Return median and quartiles of a measure per round.

    Example:
        >>> quartiles((1.0, 2.0, 3.0))
        Quartiles(median=2.0, low=1.5, high=2.5, rounds=3)
    """
    if len(values) == 1:
        return Quartiles(median=values[0], low=values[0], high=values[0], rounds=1)
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Quartiles(median=median, low=low, high=high, rounds=len(values))


def paired_ratio(times: tuple[float, ...], to: tuple[float, ...]) -> Quartiles:
    return quartiles(tuple(a / b for a, b in zip(times, to, strict=True)))


def as_plain_data(spreads: Mapping[str, Quartiles]) -> dict[str, Any]:
    medians = {name: found.median for name, found in spreads.items()}
    return {**medians, "quartiles": {name: [s.low, s.high] for name, s in spreads.items()}}
