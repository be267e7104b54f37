"""Partial dependence of a metric on one dimension, by a random forest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from search_spaces import CategoricalDimension, Dimension, IntDimension
from study.records.frames import Row, Tabular
from study.records.trial_table import ParamValue
from study.sensitivity.importance.fanova import fit_forest
from study.sensitivity.importance.search_data import (
    SearchData,
    axis_bounds,
    decode_value,
    encode_value,
    is_constant,
    require_trials,
    require_unconditional,
)
from study.sensitivity.importance.shares import bootstrap, estimator_seed, percentile_interval

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor

TREES, TREES_PER_DRAW, DRAWS, POINTS = 64, 16, 100, 25
# With leaves of three trials a curve shows a trend, not single trials.
_MIN_SAMPLES_LEAF = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialCurve:
    """The metric over one dimension: its mean over the other dimensions, and its band."""

    dimension: str
    axis: Dimension
    values: tuple[ParamValue, ...]
    means: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialDependence(Tabular):
    """The partial dependence of a metric on every dimension of an arm.

    Attributes:
        curves: One per dimension that varies, in the arm's order.
        interval: Method of the bands.
        notes: Reservations, in sentences.
    """

    data: SearchData
    curves: tuple[PartialCurve, ...]
    interval: str
    notes: tuple[str, ...]

    def frame_rows(self) -> Iterator[Row]:
        """Yield a row per dimension and value."""
        for curve in self.curves:
            band = zip(curve.values, curve.means, curve.lows, curve.highs, strict=True)
            for value, mean, low, high in band:
                yield {
                    **self.data.cells(),
                    "dimension": curve.dimension,
                    "value": value,
                    "mean": mean,
                    "low": low,
                    "high": high,
                    "interval": self.interval,
                }


@lru_cache(maxsize=16)
def partial_dependence(data: SearchData) -> PartialDependence:
    """Compute the mean of a metric along each dimension over the tried values of the others.

    Forest and averages are scikit-learn's. The band is a pointwise percentile bootstrap over
    trials (whole blocks of Saltelli's design): it covers the variation between sets of trials,
    not the forest's bias towards the mean at the ends of an axis.

    Raises:
        ReportError: If a dimension has no value in some trials, or there are too few trials.
    """
    require_unconditional(data, "partial dependence")
    require_trials(data, "partial dependence", max(30, 10 * len(data.axes)))
    grids = {
        place: _axis_grid(axis)
        for place, (_, axis) in enumerate(data.axes)
        if not is_constant(axis)
    }

    def mean_curves(
        x: np.ndarray, y: np.ndarray, trees: int, seed: int
    ) -> dict[int, Float[np.ndarray, " point"]]:
        return _mean_curves(x, grids, fit_forest(x, y, trees, seed, _MIN_SAMPLES_LEAF))

    means = mean_curves(data.x, data.y, TREES, estimator_seed(data, "dependence"))
    drawn = [
        mean_curves(data.x[p], data.y[p], TREES_PER_DRAW, draw)
        for draw, p in enumerate(bootstrap(data, DRAWS, "partial_dependence"), start=1)
    ]
    curves = []
    for place, grid in grids.items():
        name, axis = data.axes[place]
        lows, highs = percentile_interval(means[place], np.array([each[place] for each in drawn]))
        curves.append(
            PartialCurve(
                dimension=name,
                axis=axis,
                values=tuple(decode_value(axis, number) for number in grid),
                means=tuple(means[place].tolist()),
                lows=tuple(lows.tolist()),
                highs=tuple(highs.tolist()),
            )
        )
    return PartialDependence(
        data=data,
        curves=tuple(curves),
        interval=f"percentile bootstrap over trials, {DRAWS} draws, {TREES_PER_DRAW} trees each",
        notes=(
            *data.notes,
            f"A forest of {TREES} trees with leaves of {_MIN_SAMPLES_LEAF} trials or more.",
        ),
    )


def _axis_grid(axis: Dimension) -> Float[np.ndarray, " point"]:
    if isinstance(axis, CategoricalDimension):
        return np.arange(len(axis.choices), dtype=float)
    if isinstance(axis, IntDimension):
        low, high = (encode_value(axis, end) for end in (axis.low, axis.high))
        values = {decode_value(axis, number) for number in np.linspace(low, high, POINTS)}
        return np.array(sorted(encode_value(axis, value) for value in values))
    return np.linspace(*axis_bounds(axis), POINTS)


def _mean_curves(
    x: Float[np.ndarray, "trial dimension"],
    grids: dict[int, Float[np.ndarray, " point"]],
    forest: RandomForestRegressor,
) -> dict[int, Float[np.ndarray, " point"]]:
    from sklearn import inspection

    # Recursion down the trees is 60 times as fast as predicting every trial at every point; it
    # weighs branches by each tree's training trials.
    return {
        place: inspection.partial_dependence(
            forest, x, [place], custom_values={place: grid}, method="recursion"
        )["average"][0]
        for place, grid in grids.items()
    }
