"""What a reproducible search costs: places that wait for an earlier trial, by simulation."""

from __future__ import annotations

import heapq
import itertools
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

_TRIALS: Final = 120
_SEARCHES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingCost:
    """The length of a reproducible search divided by that of a search that never waits.

    Attributes:
        places: Trials that fit at a time.
        max_concurrent: The search's own limit.
        spread: Standard deviation of a trial's duration divided by its mean.
        median: Median ratio over 200 searches of 120 trials.
        high: Its 95th percentile.
    """

    places: int
    max_concurrent: int
    spread: float
    median: float
    high: float


def search_length(durations: Sequence[float], places: int, max_concurrent: int | None) -> float:
    """Return when the last trial of a search ends.

    Args:
        durations: Duration of each trial, by number.
        places: Trials that fit at a time.
        max_concurrent: Trial n begins only after trials 0 to n - max_concurrent; None for a
            search that is not reproducible.
    """
    free = [0.0] * places
    ended: list[float] = []
    for number, duration in enumerate(durations):
        begin = heapq.heappop(free)
        if max_concurrent is not None and number >= max_concurrent:
            begin = max(begin, *ended[: number - max_concurrent + 1])
        ended.append(begin + duration)
        heapq.heappush(free, ended[-1])
    return max(ended)


def measure_waiting() -> Iterator[WaitingCost]:
    """Simulate searches over places, limits and spreads of lognormal durations."""
    cases = itertools.product((2, 8, 32), (1, 2, 4), (0.05, 0.3, 1.0))
    for places, factor, spread in cases:
        rng = np.random.default_rng(0)
        sigma = float(np.sqrt(np.log1p(spread**2)))
        ratios = []
        for _ in range(_SEARCHES):
            durations = rng.lognormal(0, sigma, _TRIALS).tolist()
            lagging = search_length(durations, places, factor * places)
            ratios.append(lagging / search_length(durations, places, None))
        yield WaitingCost(
            places=places,
            max_concurrent=factor * places,
            spread=spread,
            median=statistics.median(ratios),
            high=float(np.quantile(ratios, 0.95)),
        )
