"""Designs: points that are fixed in advance instead of being sampled one by one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeAlias, get_args

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from search_spaces.dimensions import (
    CategoricalDimension,
    Dimension,
    IntDimension,
    ParamValue,
    SpaceError,
)
from search_spaces.space import Space

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float


def quantile_value(axis: Dimension, fraction: float) -> ParamValue:
    """Return the value of an axis at a fraction of it in [0, 1).

    Even fractions of the unit interval give even values of the axis: of its logarithm on a
    logarithmic scale. Every integer and every choice has an interval of its own, of equal length
    except for integers on a logarithmic scale, where k has from log(k - ½) to log(k + ½), as in
    Optuna.

    Example:
        >>> from search_spaces.dimensions import FloatDimension
        >>> axis = IntDimension(low=1, high=4)
        >>> [quantile_value(axis, fraction) for fraction in (0.0, 0.24, 0.25, 0.99)]
        [1, 1, 2, 4]
        >>> round(quantile_value(FloatDimension(low=0.01, high=1.0, log=True), 0.5), 12)
        0.1
    """
    if isinstance(axis, CategoricalDimension):
        return axis.choices[int(fraction * len(axis.choices))]
    if isinstance(axis, IntDimension):
        return _integer_at(axis, fraction)
    value = _between(axis.low, axis.high, fraction, log=axis.log)
    # Rounding may leave the axis by the last bit.
    return min(max(value, float(axis.low)), float(axis.high))


def _integer_at(axis: IntDimension, fraction: float) -> int:
    if axis.log:
        value = round(_between(axis.low - 0.5, axis.high + 0.5, fraction, log=True))
    else:
        value = axis.low + int(fraction * (axis.high - axis.low + 1))
    return min(max(value, axis.low), axis.high)


def _between(low: float, high: float, fraction: float, *, log: bool) -> float:
    if log:
        return math.exp(_between(math.log(low), math.log(high), fraction, log=False))
    return low + fraction * (high - low)


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(strict=True))
class Sobol:
    """Scrambled Sobol points.

    Of the first 2^m points every dimension has exactly one in each of 2^m equal parts of its
    axis, and so have many boxes of several dimensions. A longer design begins with the shorter
    one. Inactive dimensions have no value.

    References:
        Sobol', USSR Computational Mathematics and Mathematical Physics 7(4), 1967; scrambled as
        in Owen, J. Complexity 14(4), 1998, by ``scipy.stats.qmc.Sobol``.
    """

    name: ClassVar[str] = "sobol"

    def check(self, space: Space, trials: int) -> None:
        """Accept any number of trials in any space."""

    def advice(self, trials: int) -> str | None:
        """Return the adjacent powers of two for a number of trials that is none."""
        below = 2 ** (trials.bit_length() - 1)
        if trials == below:
            return None
        return (
            f"{trials} points of design 'sobol' are less even than a power of two would be, such "
            f"as {below} or {2 * below}."
        )

    def unit_points(self, n_dimensions: int, seed: int, count: int) -> Float[np.ndarray, "n dim"]:
        """Return the first points in [0, 1)^D, scrambled by the seed; read only."""
        return _sequence(n_dimensions, seed, (count - 1).bit_length())[:count]


# Every trial looks up its own point, and all trials of an arm are points of one sequence.
@lru_cache(maxsize=8)
def _sequence(n_dimensions: int, seed: int, exponent: int) -> Float[np.ndarray, "n dim"]:
    from scipy.stats import qmc

    points = qmc.Sobol(n_dimensions, scramble=True, rng=seed).random_base2(exponent)
    points.flags.writeable = False
    return points


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(strict=True))
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
    second_order: Annotated[bool, Field(description="Estimate interactions too.")] = False

    def block_size(self, n_dimensions: int) -> int:
        """Return the number of points of a block."""
        return 2 * n_dimensions + 2 if self.second_order else n_dimensions + 2

    def check(self, space: Space, trials: int) -> None:
        """Check that blocks fill the space and the number of trials.

        Raises:
            SpaceError: The message starts with the key of the search that must change.
        """
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

    def advice(self, trials: int) -> str | None:  # noqa: ARG002 (every design's)
        """Return None: every legal number of trials is optimal."""
        return None

    def unit_points(self, n_dimensions: int, seed: int, count: int) -> Float[np.ndarray, "n dim"]:
        """Return the first points in [0, 1)^D, the last block cut off; read only."""
        blocks = -(-count // self.block_size(n_dimensions))
        exponent = (blocks - 1).bit_length()
        return _sample(n_dimensions, seed, exponent, self.second_order)[:count]


# Every trial looks up its own point, and all trials of an arm are rows of one sample.
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


# Designs fill the whole space, for global analyses.
Design: TypeAlias = Saltelli | Sobol

DESIGNS: Mapping[str, type[Design]] = {kind.name: kind for kind in get_args(Design)}


def check_design(design: Design, space: Space, trials: int) -> None:
    """Check that a design fits a space and a number of trials.

    Raises:
        SpaceError: The message starts with the key of the search that must change.
    """
    if not space.dimensions:
        raise SpaceError(
            f"design {design.name!r} needs a dimension to fill, but none is searched; remove it."
        )
    design.check(space, trials)


def design_points(
    design: Design, space: Space, seed: int, count: int
) -> tuple[dict[str, ParamValue], ...]:
    """Return the first points of a design, without inactive dimensions.

    The first n points of a longer design are the shorter one, and equal seeds give equal points.
    Points are even over an axis's values: over their logarithms on a logarithmic scale.

    Example:
        >>> from search_spaces.dimensions import IntDimension
        >>> space = Space(dimensions={"top_k": IntDimension(low=1, high=4)}, fixed={})
        >>> sorted(point["top_k"] for point in design_points(Sobol(), space, 0, 4))
        [1, 2, 3, 4]
    """
    unit_points = design.unit_points(len(space.dimensions), seed, count)
    return tuple(_to_params(space, row) for row in unit_points.tolist())


def design_point(design: Design, space: Space, seed: int, number: int) -> dict[str, ParamValue]:
    """Return one point of a design; the first has number 0."""
    unit_points = design.unit_points(len(space.dimensions), seed, number + 1)
    return _to_params(space, unit_points[number].tolist())


def _to_params(space: Space, unit_points: Iterable[float]) -> dict[str, ParamValue]:
    axes = zip(space.dimensions.items(), unit_points, strict=True)
    point = {name: quantile_value(axis, fraction) for (name, axis), fraction in axes}
    return {name: value for name, value in point.items() if space.is_active(name, point)}


def sweep(
    center: Mapping[str, ParamValue], over: str, values: Iterable[ParamValue]
) -> tuple[dict[str, ParamValue], ...]:
    """Return points that vary one dimension and hold the others at a center.

    Example:
        >>> sweep({"top_k": 3, "alpha": 0.5}, "top_k", [1, 2])
        ({'top_k': 1, 'alpha': 0.5}, {'top_k': 2, 'alpha': 0.5})
    """
    return tuple({**center, over: value} for value in values)


def unique(points: Iterable[Mapping[str, ParamValue]]) -> tuple[dict[str, ParamValue], ...]:
    """Return the points without repetitions, in their order.

    Example:
        >>> unique([{"top_k": 1}, {"top_k": 2}, {"top_k": 1}])
        ({'top_k': 1}, {'top_k': 2})
    """
    listed = [dict(point) for point in points]
    return tuple(point for i, point in enumerate(listed) if point not in listed[:i])
