"""Chosen values near an edge of their searched range: the best may lie beyond it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from search_spaces import CategoricalDimension, FloatDimension, IntDimension
from study.records.frames import Row, Tabular
from study.records.trial_table import TrialTable

EDGE_SHARE = 0.05
"""Share of a range, from each end, in which a chosen value is at the edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeValue:
    """A chosen value at an edge of its range.

    Attributes:
        dimension: Name of the dimension, an integer or real one.
        value: The chosen value.
        low: Low end of the searched range.
        high: High end of the searched range.
        edge: The end to which the value is near.
        wider: The range to try instead, legal on the arm's dataset.
        position: Place of the value in the range, from 0 to 1; of the logarithm on a logarithmic
            axis.
    """

    arm: str
    method: str
    dimension: str
    value: float
    low: float
    high: float
    edge: Literal["low", "high"]
    wider: tuple[float, float]
    position: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeEdges(Tabular):
    """The chosen values of a study's arms that lie at an edge, by arm and dimension.

    A value at the end of what is legal is not among them: nothing lies beyond.
    """

    study: str
    values: tuple[EdgeValue, ...]

    def frame_rows(self) -> Iterator[Row]:
        """Yield a row per value."""
        for one in self.values:
            yield {
                "arm": one.arm,
                "method": one.method,
                "dimension": one.dimension,
                "value": one.value,
                "low": one.low,
                "high": one.high,
                "edge": one.edge,
                "wider_low": one.wider[0],
                "wider_high": one.wider[1],
                "position": one.position,
            }


def range_edges(table: TrialTable) -> RangeEdges:
    """Return the chosen values within 5 % of an edge of their range, with the wider range to try.

    Arms that share one search are listed once, as the first, and those that take over another
    arm's choice not at all.
    """
    found: dict[tuple[str, str], EdgeValue] = {}
    for arm in (arm for arm in table.arms if arm.like is None):
        for name, value in (arm.best_params or {}).items():
            axis = arm.dimensions.get(name)
            if axis is None or isinstance(axis, CategoricalDimension):
                continue
            position = _position(axis, float(value))
            edge = _edge(position)
            low, high = arm.wider.get(name, (None, None))
            beyond = low if edge == "low" else high
            if edge is not None and beyond is not None:
                wider = (beyond, axis.high) if edge == "low" else (axis.low, beyond)
                one = EdgeValue(
                    arm=arm.name,
                    method=arm.method,
                    dimension=name,
                    value=float(value),
                    low=axis.low,
                    high=axis.high,
                    edge=edge,
                    wider=wider,
                    position=position,
                )
                found.setdefault((arm.group or arm.name, name), one)
    return RangeEdges(study=table.study, values=tuple(found.values()))


def _position(axis: IntDimension | FloatDimension, value: float) -> float:
    low, high = float(axis.low), float(axis.high)
    if low == high:
        return 0.5
    if axis.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low)


def _edge(position: float) -> Literal["low", "high"] | None:
    # The last bits of a logarithm are no distance.
    if position <= EDGE_SHARE + 1e-9:
        return "low"
    return "high" if position >= 1 - EDGE_SHARE - 1e-9 else None
