"""fANOVA: which dimensions explain the variance, by a random forest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from study.sensitivity.importance.basis import GlobalBasis
from study.sensitivity.importance.forest import fit_forest, to_columns, variance_shares
from study.sensitivity.importance.record import Estimator, Measured
from study.sensitivity.importance.resampling import (
    bootstrap,
    chance_level,
    percentile_ends,
    permutations,
    seed_of,
    to_shares,
)

# Optuna's number for the shares; fewer for each draw, which makes intervals and level a little
# wider than they must be.
TREES, TREES_PER_DRAW = 64, 16
# 7 s on a core for 128 trials and 5 dimensions, together with the shares of pairs.
DRAWS, PERMUTATIONS = 100, 99


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForestShares:
    """Shares of dimensions (on the diagonal) and pairs, drawn again and under chance."""

    values: Float[np.ndarray, "dimension dimension"]
    drawn: Float[np.ndarray, "draw dimension dimension"]
    by_chance: Float[np.ndarray, "permutation dimension dimension"]

    @property
    def interval(self) -> str:
        """How intervals were made, for people."""
        draws = f"{len(self.drawn)} draws, {TREES_PER_DRAW} trees each"
        return f"percentile bootstrap over trials, {draws}"

    @property
    def chance(self) -> str:
        """How the level of chance was made, for people."""
        return f"{len(self.by_chance)} permutations of the values, {TREES_PER_DRAW} trees each"


@lru_cache(maxsize=16)
def forest_shares(basis: GlobalBasis) -> ForestShares:
    """Compute fANOVA's shares with their bootstrap and their permutations."""
    columns = to_columns([axis for _, axis in basis.axes], basis.x)
    seed = seed_of(basis, "fanova")

    def shares(values: np.ndarray, y: np.ndarray, trees: int, draw: int) -> np.ndarray:
        return variance_shares(fit_forest(values, y, trees, seed + draw), columns)

    return ForestShares(
        values=shares(columns.values, basis.y, TREES, 0),
        drawn=np.array(
            [
                shares(columns.values[places], basis.y[places], TREES_PER_DRAW, draw)
                for draw, places in enumerate(bootstrap(basis, DRAWS, "fanova"), start=1)
            ]
        ),
        by_chance=np.array(
            [
                shares(columns.values, y, TREES_PER_DRAW, draw)
                for draw, y in enumerate(permutations(basis, PERMUTATIONS, "fanova"), start=1)
            ]
        ),
    )


def measure(basis: GlobalBasis) -> Measured:
    """Measure each dimension's own share of the variance of a random forest's prediction.

    The numbers are Optuna's (``FanovaImportanceEvaluator``), on the scale on which the design
    spread its points: logarithmic axes in the logarithm, every integer with equal weight. The
    forest smooths replica noise away in part, so that a share lies between that of the observed
    variance and that of the noise-free one; and it finds a little everywhere.

    The interval is a percentile bootstrap over trials (whole blocks of Saltelli's design). It
    covers how the shares vary from one set of trials to another, not the forest's own bias. The
    level is the permutation test's over all dimensions together: values exchanged between
    trials, as if nothing mattered at all. Beside a strong dimension it is stricter than it must
    be: a weak one below it may still matter.
    """
    found = forest_shares(basis)
    values = np.diagonal(found.values)
    drawn = np.diagonal(found.drawn, axis1=1, axis2=2)
    largest = np.diagonal(found.by_chance, axis1=1, axis2=2).max(axis=1)
    return Measured(
        shares=to_shares(basis, values, percentile_ends(values, drawn), largest),
        level=chance_level(largest),
        interval=found.interval,
        chance=found.chance,
        notes=(f"fANOVA: a forest of {TREES} trees; shares of the variance that it predicts.",),
    )


FANOVA = Estimator(
    title="fANOVA",
    question="what explains the variance",
    explains="of the variance",
    axis="Share of the variance [%]",
    factor=100.0,
    designs=(),
    least=lambda basis: max(30, 10 * len(basis.axes)),
    why="10 for each dimension, and 30 for a forest at all",
    takes_conditions=False,
    measure=measure,
)
