"""How a metric goes with one dimension on average over all others, by a random forest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from search_spaces import CategoricalDimension, Dimension, IntDimension
from study.records.errors import ReportError
from study.records.trial_table import ParamValue
from study.sensitivity.importance.search_data import (
    SearchData,
    axis_bounds,
    decode_value,
    encode_value,
    is_constant,
)
from study.sensitivity.importance.shares import bootstrap, estimator_seed, percentile_interval

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor

TREES, TREES_PER_DRAW, DRAWS, POINTS = 64, 16, 100, 25
# Leaves of three trials: a curve shows a trend, not single trials.
_MIN_SAMPLES_LEAF = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialCurve:
    """The metric over one dimension.

    Attributes:
        dimension: Name of the dimension.
        axis: The axis.
        places: Values along the axis, choices by their names.
        means: The metric there, on average over the other dimensions.
        lows: Lower ends of the band.
        highs: Upper ends.
    """

    dimension: str
    axis: Dimension
    places: tuple[ParamValue, ...]
    means: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialDependence:
    """The partial dependence of a metric on every dimension of an arm.

    Attributes:
        basis: The trials it stands on.
        curves: One per dimension that varies, in the arm's order.
        interval: How the bands were made, for people.
        notes: Reservations, in sentences.
    """

    basis: SearchData
    curves: tuple[PartialCurve, ...]
    interval: str
    notes: tuple[str, ...]


@lru_cache(maxsize=16)
def partial_dependence(basis: SearchData) -> PartialDependence:
    """Follow a metric along each dimension, on average over where the others were tried.

    Forest and averages are scikit-learn's. The band is a percentile bootstrap over trials (whole
    blocks of Saltelli's design), point by point: it covers how the curve varies from one set of
    trials to another, not that a forest flattens what lies at the ends of an axis.

    Raises:
        ReportError: If a dimension has no value in some trials, or there are too few trials.
    """
    _require_forest_data(basis)
    grids = {
        place: _axis_grid(axis)
        for place, (_, axis) in enumerate(basis.axes)
        if not is_constant(axis)
    }
    means = _mean_curves(
        basis.x,
        grids,
        _fit_smooth_forest(basis.x, basis.y, TREES, estimator_seed(basis, "dependence")),
    )
    drawn = [
        _mean_curves(
            basis.x[p], grids, _fit_smooth_forest(basis.x[p], basis.y[p], TREES_PER_DRAW, draw)
        )
        for draw, p in enumerate(bootstrap(basis, DRAWS, "partial_dependence"), start=1)
    ]
    curves = []
    for place, grid in grids.items():
        name, axis = basis.axes[place]
        lows, highs = percentile_interval(means[place], np.array([each[place] for each in drawn]))
        curves.append(
            PartialCurve(
                dimension=name,
                axis=axis,
                places=tuple(decode_value(axis, number) for number in grid),
                means=tuple(means[place].tolist()),
                lows=tuple(lows.tolist()),
                highs=tuple(highs.tolist()),
            )
        )
    return PartialDependence(
        basis=basis,
        curves=tuple(curves),
        interval=f"percentile bootstrap over trials, {DRAWS} draws, {TREES_PER_DRAW} trees each",
        notes=(
            *basis.notes,
            f"A forest of {TREES} trees with leaves of {_MIN_SAMPLES_LEAF} trials or more.",
        ),
    )


def _require_forest_data(basis: SearchData) -> None:
    if basis.conditions:
        name, condition = basis.conditions[0]
        raise ReportError(
            f"arm '{basis.arm}': partial dependence needs a value of every dimension in every "
            f"trial, but {name} has one only where {condition.dimension} is {condition.value}; "
            f"hold {condition.dimension} at one value in the study file."
        )
    needed = max(30, 10 * len(basis.axes))
    if basis.n < needed:
        raise ReportError(
            f"arm '{basis.arm}': partial dependence on {len(basis.axes)} dimensions needs at "
            f"least {needed} trials, but there are {basis.n}; raise 'search.trials' and resume "
            f"the study."
        )


def _axis_grid(axis: Dimension) -> Float[np.ndarray, " point"]:
    if isinstance(axis, CategoricalDimension):
        return np.arange(len(axis.choices), dtype=float)
    if isinstance(axis, IntDimension):
        low, high = (encode_value(axis, end) for end in (axis.low, axis.high))
        values = {decode_value(axis, number) for number in np.linspace(low, high, POINTS)}
        return np.array(sorted(encode_value(axis, value) for value in values))
    return np.linspace(*axis_bounds(axis), POINTS)


def _fit_smooth_forest(
    x: Float[np.ndarray, "trial dimension"], y: Float[np.ndarray, " trial"], trees: int, seed: int
) -> RandomForestRegressor:
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(
        n_estimators=trees, min_samples_leaf=_MIN_SAMPLES_LEAF, random_state=seed
    )
    return forest.fit(x, y)


def _mean_curves(
    x: Float[np.ndarray, "trial dimension"],
    grids: dict[int, Float[np.ndarray, " point"]],
    forest: RandomForestRegressor,
) -> dict[int, Float[np.ndarray, " point"]]:
    from sklearn import inspection

    # By recursion down the trees, 60 times as fast as predicting every trial at every point. It
    # weighs branches by the trials that each tree was grown on.
    return {
        place: inspection.partial_dependence(
            forest, x, [place], custom_values={place: grid}, method="recursion"
        )["average"][0]
        for place, grid in grids.items()
    }
