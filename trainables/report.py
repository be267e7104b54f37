"""What a trial says at one evaluation."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The metrics of every replica of a trial after some epochs.

    Attributes:
        epoch: Epochs trained so far; 0 is the freshly initialised model.
        metrics: Metric key (``val/accuracy``) to one value per replica, in the order of the
            trial's replica seeds.
    """

    epoch: int
    metrics: Mapping[str, tuple[float, ...]]


def mean(values: tuple[float, ...]) -> float:
    """Average a metric over the replicas."""
    return math.fsum(values) / len(values)


def standard_deviation(values: tuple[float, ...]) -> float:
    """Sample standard deviation (n - 1) over the replicas; 0 for a single replica."""
    return statistics.stdev(values) if len(values) > 1 else 0.0
