"""Saltelli's design: Sobol points, each with its neighbours along every axis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from search_spaces.errors import SpaceError
from search_spaces.space import Space

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float


@dataclass(frozen=True, slots=True, kw_only=True)
class Saltelli:
    """The design from which Sobol indices of first and total order are estimated.

    Points come in blocks. A block is a point A, then for each dimension A with that one value of
    another point B, and last B: D + 2 points. With second order there stands before the last, for
    each dimension, B with that one value of A: 2·D + 2 points. Trial i is row i of what
    ``SALib.sample.sobol.sample`` gives, which ``SALib.analyze.sobol.analyze`` expects in this
    order. A design of twice as many blocks begins with the shorter one.

    Attributes:
        second_order: Whether interactions of pairs of dimensions are to be estimated too.

    References:
        Saltelli, Computer Physics Communications 145(2), 2002; blocks as in SALib.
    """

    name: ClassVar[str] = "saltelli"
    second_order: bool = False

    def block_size(self, n_dimensions: int) -> int:
        """Give the number of points of a block."""
        return 2 * n_dimensions + 2 if self.second_order else n_dimensions + 2

    def check(self, space: Space, trials: int) -> None:
        """Refuse a space or a number of trials that blocks do not fill.

        Raises:
            SpaceError: The message starts with the key of the search that must change.
        """
        self._check_space(space)
        size = self.block_size(len(space.dimensions))
        blocks = trials // size
        below = 2 ** (blocks.bit_length() - 1) if blocks else 0
        if trials == below * size:
            return
        nearest = [n * size for n in (below, 2 * below or 1) if n]
        formula = "2·D + 2" if self.second_order else "D + 2"
        raise SpaceError(
            f"trials must be a power of two times {size} for design 'saltelli' ({formula}, where "
            f"D = {len(space.dimensions)} is the number of searched dimensions), got {trials}; "
            f"give {' or '.join(map(str, nearest))}."
        )

    def note(self, trials: int) -> str | None:  # noqa: ARG002 (every design's)
        """Say nothing: every legal number of trials is as good as it can be."""
        return None

    def shares(self, n_dimensions: int, seed: int, count: int) -> Float[np.ndarray, "n dim"]:
        """Give the first points in the unit cube.

        Args:
            n_dimensions: Number of dimensions D.
            seed: Seed of the scrambling.
            count: Number of points n; the last block may be cut off.

        Returns:
            In [0, 1); read only.
        """
        blocks = -(-count // self.block_size(n_dimensions))
        exponent = (blocks - 1).bit_length()
        return _sample(n_dimensions, seed, exponent, self.second_order)[:count]

    def _check_space(self, space: Space) -> None:
        if space.conditions:
            names = " and ".join(space.conditions)
            opener = next(iter(space.conditions.values())).dimension
            raise SpaceError(
                "design 'saltelli' changes one dimension at a time, so that each must have a "
                f"value in every trial, but {names} have none without a certain {opener}; hold "
                f"{opener} at one value, or take 'design: sobol'."
            )
        if self.second_order and len(space.dimensions) < 2:
            raise SpaceError(
                "design.second_order must be false for a space of one dimension, which has no "
                "pairs; remove it."
            )


# Each trial is asked for alone, and all trials of an arm are rows of one sample.
@lru_cache(maxsize=8)
def _sample(
    n_dimensions: int, seed: int, exponent: int, second_order: bool
) -> Float[np.ndarray, "n dim"]:
    from SALib.sample import sobol

    names = [f"x{i}" for i in range(n_dimensions)]
    problem = {"num_vars": n_dimensions, "names": names, "bounds": [[0.0, 1.0]] * n_dimensions}
    rows: Float[np.ndarray, "n dim"] = sobol.sample(
        problem, 2**exponent, calc_second_order=second_order, seed=seed
    )
    rows.flags.writeable = False
    return rows
