"""fANOVA: the share of the variance of a random forest of each dimension and pair.

The numbers equal those of Optuna's evaluator (a test compares them), which walks each tree in
Python: 3 to 24 s for one forest of 128 trials, and intervals need hundreds of forests. Here a
tree is a set of boxes, and a marginal's variance a sum over pairs of boxes: 40 ms with the fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from search_spaces import CategoricalDimension, Dimension
from study.sensitivity.importance.search_data import SearchData, axis_bounds, is_constant
from study.sensitivity.importance.shares import (
    EstimatedShares,
    ImportanceEstimator,
    bootstrap,
    estimator_seed,
    min_per_dimension,
    percentile_interval,
    permutations,
)

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForestColumns:
    """The input of a forest: a column per number, and one per choice (0 or 1).

    Attributes:
        low: Lower end of each column.
        high: Upper end of each column.
        groups: The column indices of each dimension.
    """

    values: Float[np.ndarray, "trial column"]
    low: Float[np.ndarray, " column"]
    high: Float[np.ndarray, " column"]
    groups: tuple[tuple[int, ...], ...]


def encode_columns(
    axes: Sequence[Dimension], x: Float[np.ndarray, "trial dimension"]
) -> ForestColumns:
    """Encode points as columns, with one column per choice, as Optuna does."""
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
            low, high = axis_bounds(axis)
            # No tree splits an axis of one value, so that its length does not matter.
            ends.append((low, low + 1.0) if is_constant(axis) else (low, high))
        groups.append(tuple(range(start, len(values))))
    low, high = np.array(ends).T
    return ForestColumns(values=np.column_stack(values), low=low, high=high, groups=tuple(groups))


def fit_forest(
    values: Float[np.ndarray, "trial column"],
    y: Float[np.ndarray, " trial"],
    trees: int,
    seed: int,
    min_samples_leaf: int = 1,
) -> RandomForestRegressor:
    """Fit the forest of Optuna's fANOVA: trees on bootstraps, with leaves of single trials."""
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(
        n_estimators=trees, max_depth=64, min_samples_leaf=min_samples_leaf, random_state=seed
    )
    return forest.fit(values, y)


def variance_shares(
    forest: RandomForestRegressor, columns: ForestColumns
) -> Float[np.ndarray, "dimension dimension"]:
    """Compute the share of the variance of a forest's trees of each dimension and pair.

    The share of a dimension is the variance of a tree's mean over all others, over the tree's
    variance; of a pair, that of the mean over the rest, without the two dimensions' own. Each is
    averaged over the trees that have any variance.

    Returns:
        Symmetric, with the dimensions' own shares on the diagonal and the pairs' off it. All zero
        for a forest without variance.

    References:
        Hutter, Hoos and Leyton-Brown, ICML 2014.
    """
    found = [_tree_shares(estimator.tree_, columns) for estimator in forest.estimators_]
    shares = [share for share in found if share is not None]
    n = len(columns.groups)
    result: Float[np.ndarray, ...] = np.mean(shares, axis=0) if shares else np.zeros((n, n))
    return result


def _tree_shares(tree: Any, columns: ForestColumns) -> Float[np.ndarray, "d d"] | None:  # noqa: ANN401
    low, high, values = _leaf_boxes(tree, columns)
    widths = (high - low) / (columns.high - columns.low)
    volumes = widths.prod(axis=1)
    centered = values - volumes @ values
    variance = float(volumes @ centered**2)
    if variance <= 0.0:
        return None
    mass = centered * volumes
    kernels = [_overlap_kernel(low, high, widths, columns, group) for group in columns.groups]
    products = np.outer(mass, mass)
    # einsum would not reuse the product of masses, which is the same for all kernels.
    weighted = np.array([(products * kernel).ravel() for kernel in kernels])
    own = weighted.sum(axis=1)
    together = weighted @ np.array([kernel.ravel() for kernel in kernels]).T
    pairs = np.clip(together - own[:, None] - own[None, :], 0.0, None)
    np.fill_diagonal(pairs, np.clip(own, 0.0, None))
    shares: Float[np.ndarray, ...] = pairs / variance
    return shares


def _overlap_kernel(
    low: Float[np.ndarray, "leaf column"],
    high: Float[np.ndarray, "leaf column"],
    widths: Float[np.ndarray, "leaf column"],
    columns: ForestColumns,
    group: tuple[int, ...],
) -> Float[np.ndarray, "leaf leaf"]:
    """Compute the overlap of each pair of boxes in a dimension, over its expectation."""
    kernel = np.ones((len(low), len(low)))
    for column in group:
        lows, highs, width = low[:, column], high[:, column], widths[:, column]
        shared = np.minimum.outer(highs, highs) - np.maximum.outer(lows, lows)
        span = columns.high[column] - columns.low[column]
        kernel *= np.clip(shared, 0.0, None) / span / np.outer(width, width)
    return kernel


def _leaf_boxes(
    tree: Any,  # noqa: ANN401 (scikit-learn's compiled tree)
    columns: ForestColumns,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the lower and upper corners of a tree's leaves, and their values."""
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


# Optuna's number of trees for the shares; fewer for each draw, which makes intervals and level
# slightly wider than necessary.
TREES, TREES_PER_DRAW = 64, 16
# 7 s on a core for 128 trials and 5 dimensions, together with the shares of pairs.
DRAWS, PERMUTATIONS = 100, 99


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForestShares:
    """Shares of dimensions (on the diagonal) and pairs: estimated, resampled and permuted."""

    values: Float[np.ndarray, "dimension dimension"]
    resampled: Float[np.ndarray, "draw dimension dimension"]
    permuted: Float[np.ndarray, "permutation dimension dimension"]

    def select(self, places: tuple[Any, ...], note: str) -> EstimatedShares:
        """Return the shares at some places of the matrices."""
        values, each = self.values[places], f"{TREES_PER_DRAW} trees each"
        return EstimatedShares(
            values=values,
            ends=percentile_interval(values, self.resampled[:, *places]),
            max_shares=self.permuted[:, *places].max(axis=1),
            interval=f"percentile bootstrap over trials, {len(self.resampled)} draws, {each}",
            chance=f"{len(self.permuted)} permutations of the values, {each}",
            notes=(note,),
        )


@lru_cache(maxsize=16)
def forest_shares(data: SearchData) -> ForestShares:
    """Compute fANOVA's shares with bootstrap and permutations."""
    columns = encode_columns([axis for _, axis in data.axes], data.x)
    seed = estimator_seed(data, "fanova")

    def shares(values: np.ndarray, y: np.ndarray, trees: int, draw: int) -> np.ndarray:
        return variance_shares(fit_forest(values, y, trees, seed + draw), columns)

    return ForestShares(
        values=shares(columns.values, data.y, TREES, 0),
        resampled=np.array(
            [
                shares(columns.values[places], data.y[places], TREES_PER_DRAW, draw)
                for draw, places in enumerate(bootstrap(data, DRAWS, "fanova"), start=1)
            ]
        ),
        permuted=np.array(
            [
                shares(columns.values, y, TREES_PER_DRAW, draw)
                for draw, y in enumerate(permutations(data, PERMUTATIONS, "fanova"), start=1)
            ]
        ),
    )


def fanova_importance(data: SearchData) -> EstimatedShares:
    """Estimate each dimension's own share of the variance of a random forest's prediction.

    The numbers are Optuna's (``FanovaImportanceEvaluator``), on the scale of the design:
    logarithmic axes in the logarithm, every integer with equal weight. The forest removes part
    of the replica noise, so that a share lies between that of the observed variance and that of
    the noise-free one; no share is exactly 0.

    The interval is a percentile bootstrap over trials (whole blocks of Saltelli's design). It
    covers the variation between sets of trials, not the forest's bias. The level is that of a
    permutation test over all dimensions together. With a strong dimension it is conservative: a
    weak dimension below it may still matter.
    """
    note = f"fANOVA: a forest of {TREES} trees; shares of the variance that it predicts."
    return forest_shares(data).select(np.diag_indices(len(data.axes)), note)


FANOVA = ImportanceEstimator(
    title="fANOVA",
    question="what explains the variance",
    min_trials=min_per_dimension(30),
    min_trials_reason="10 for each dimension, and 30 for a forest at all",
    measure=fanova_importance,
)
