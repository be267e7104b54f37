"""fANOVA's arithmetic on a forest of scikit-learn: exact shares of variance, for pairs too.

Optuna's evaluator defines the numbers; these are the same ones (a test holds them together).
Its own arithmetic walks each tree in Python: 3 to 24 s for one forest of 128 trials, which
intervals need hundreds of. Here a tree is a set of boxes, and a marginal's variance a sum over
pairs of boxes: 40 ms with the fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from search_spaces import CategoricalDimension, Dimension
from study.sensitivity.importance.axes import extent, is_single

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """Points as a forest sees them: a column per number, and one per choice (0 or 1).

    Attributes:
        values: Trial by column.
        low: Lower end of each column.
        high: Upper end.
        groups: For each dimension the places of its columns.
    """

    values: Float[np.ndarray, "trial column"]
    low: Float[np.ndarray, " column"]
    high: Float[np.ndarray, " column"]
    groups: tuple[tuple[int, ...], ...]


def to_columns(axes: Sequence[Dimension], x: Float[np.ndarray, "trial dimension"]) -> Columns:
    """Write points in columns, choices as one column each, as Optuna does."""
    values: list[np.ndarray] = []
    ends: list[tuple[float, float]] = []
    groups = []
    for place, axis in enumerate(axes):
        start = len(values)
        if isinstance(axis, CategoricalDimension):
            values += [(x[:, place] == c).astype(float) for c in range(len(axis.choices))]
            ends += [(0.0, 1.0)] * len(axis.choices)
        else:
            values.append(x[:, place])
            low, high = extent(axis)
            # Any length will do for an axis of one value, at which no tree splits.
            ends.append((low, low + 1.0) if is_single(axis) else (low, high))
        groups.append(tuple(range(start, len(values))))
    low, high = np.array(ends).T
    return Columns(values=np.column_stack(values), low=low, high=high, groups=tuple(groups))


def fit_forest(
    values: Float[np.ndarray, "trial column"],
    y: Float[np.ndarray, " trial"],
    trees: int,
    seed: int,
) -> RandomForestRegressor:
    """Fit the forest of Optuna's fANOVA: trees to the last trial, each on its own bootstrap."""
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(n_estimators=trees, max_depth=64, random_state=seed)
    return forest.fit(values, y)


def variance_shares(
    forest: RandomForestRegressor, columns: Columns
) -> Float[np.ndarray, "dimension dimension"]:
    """Give each dimension's share of the variance of a forest's trees, and each pair's.

    The share of a dimension is the variance of a tree's mean over all others, over the tree's
    variance; of a pair, that of the mean over the rest, without the two dimensions' own. Each is
    averaged over the trees that have any variance.

    Returns:
        Symmetric; dimensions' own shares on the diagonal, pairs' beside it. All zero for a
        forest without variance.

    References:
        Hutter, Hoos and Leyton-Brown, ICML 2014.
    """
    found = [_tree_shares(estimator.tree_, columns) for estimator in forest.estimators_]
    shares = [share for share in found if share is not None]
    n = len(columns.groups)
    result: Float[np.ndarray, ...] = np.mean(shares, axis=0) if shares else np.zeros((n, n))
    return result


def _tree_shares(tree: Any, columns: Columns) -> Float[np.ndarray, "d d"] | None:  # noqa: ANN401
    low, high, values = _leaves(tree, columns)
    widths = (high - low) / (columns.high - columns.low)
    volumes = widths.prod(axis=1)
    centred = values - volumes @ values
    variance = float(volumes @ centred**2)
    if variance <= 0.0:
        return None
    mass = centred * volumes
    kernels = [_kernel(low, high, widths, columns, group) for group in columns.groups]
    products = np.outer(mass, mass)
    # einsum would not use that the product of masses is the same in all of them.
    weighted = np.array([(products * kernel).ravel() for kernel in kernels])
    own = weighted.sum(axis=1)
    together = weighted @ np.array([kernel.ravel() for kernel in kernels]).T
    pairs = np.clip(together - own[:, None] - own[None, :], 0.0, None)
    np.fill_diagonal(pairs, np.clip(own, 0.0, None))
    shares: Float[np.ndarray, ...] = pairs / variance
    return shares


def _kernel(
    low: Float[np.ndarray, "leaf column"],
    high: Float[np.ndarray, "leaf column"],
    widths: Float[np.ndarray, "leaf column"],
    columns: Columns,
    group: tuple[int, ...],
) -> Float[np.ndarray, "leaf leaf"]:
    """Give how much more two boxes share of a dimension than they would by chance."""
    kernel = np.ones((len(low), len(low)))
    for column in group:
        lows, highs, width = low[:, column], high[:, column], widths[:, column]
        shared = np.minimum.outer(highs, highs) - np.maximum.outer(lows, lows)
        span = columns.high[column] - columns.low[column]
        kernel *= np.clip(shared, 0.0, None) / span / np.outer(width, width)
    return kernel


def _leaves(
    tree: Any,  # noqa: ANN401 (scikit-learn's compiled tree)
    columns: Columns,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the boxes of a tree's leaves, and their values."""
    low = np.tile(columns.low, (tree.node_count, 1))
    high = np.tile(columns.high, (tree.node_count, 1))
    left, right = tree.children_left.tolist(), tree.children_right.tolist()
    features, thresholds = tree.feature.tolist(), tree.threshold.tolist()
    # Nodes are numbered from the root down: parents come before their children.
    for node, feature in enumerate(features):
        if feature >= 0:
            for child in (left[node], right[node]):
                low[child], high[child] = low[node], high[node]
            high[left[node], feature] = low[right[node], feature] = thresholds[node]
    is_leaf = tree.feature < 0
    return low[is_leaf], high[is_leaf], tree.value[is_leaf, 0, 0]
