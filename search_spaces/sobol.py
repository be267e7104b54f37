"""Sobol points: as many as one likes, spread over a space more evenly than random ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from search_spaces.space import Space

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sobol:
    """Scrambled Sobol points.

    Of the first 2^m points every dimension has exactly one in each of 2^m equal parts of its
    axis, and the same holds for many boxes of several dimensions. A longer design begins with the
    shorter one. Dimensions that a choice leaves closed have no value.

    References:
        Sobol', USSR Computational Mathematics and Mathematical Physics 7(4), 1967; scrambled as
        in Owen, J. Complexity 14(4), 1998, by ``scipy.stats.qmc.Sobol``.
    """

    name: ClassVar[str] = "sobol"

    def check(self, space: Space, trials: int) -> None:
        """Refuse nothing: any number of trials in any space is legal."""

    def note(self, trials: int) -> str | None:
        """Say that a number of trials is not a power of two, between which ones it lies."""
        below = 2 ** (trials.bit_length() - 1)
        if trials == below:
            return None
        return (
            f"{trials} points of design 'sobol' are less even than a power of two would be, such "
            f"as {below} or {2 * below}."
        )

    def shares(self, n_dimensions: int, seed: int, count: int) -> Float[np.ndarray, "n dim"]:
        """Give the first points in the unit cube.

        Args:
            n_dimensions: Number of dimensions D.
            seed: Seed of the scrambling.
            count: Number of points n.

        Returns:
            In [0, 1); read only.
        """
        return _sequence(n_dimensions, seed, (count - 1).bit_length())[:count]


# Each trial is asked for alone, and all trials of an arm are points of one sequence.
@lru_cache(maxsize=8)
def _sequence(n_dimensions: int, seed: int, exponent: int) -> Float[np.ndarray, "n dim"]:
    from scipy.stats import qmc

    points = qmc.Sobol(n_dimensions, scramble=True, rng=seed).random_base2(exponent)
    points.flags.writeable = False
    return points
