"""Benchmarks of a training step, of stacked replicas, and of what a study costs."""

from __future__ import annotations

from tests.benchmarks.interleaved_timing import (
    MIN_ROUNDS,
    Quartiles,
    as_plain_data,
    paired_ratio,
    quartiles,
    time_interleaved,
)

__all__ = [
    "MIN_ROUNDS",
    "Quartiles",
    "as_plain_data",
    "paired_ratio",
    "quartiles",
    "time_interleaved",
]
