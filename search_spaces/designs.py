"""Designs: points that are chosen beforehand instead of being proposed one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias, get_args

from search_spaces.dimensions import ParamValue
from search_spaces.errors import SpaceError
from search_spaces.quantile import value_at
from search_spaces.saltelli import Saltelli
from search_spaces.sobol import Sobol
from search_spaces.space import Space

# What fills a whole space, for analyses that ask about all of it.
Design: TypeAlias = Saltelli | Sobol

DESIGNS: Mapping[str, type[Design]] = {kind.name: kind for kind in get_args(Design)}


def check_design(design: Design, space: Space, trials: int) -> None:
    """Refuse a design that a space or a number of trials does not fit.

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
    """Give the first points of a design, without the dimensions that their choices leave closed.

    The first n points of a longer design are the shorter one. As many points as are spread evenly
    over an axis are spread evenly over its values: over their logarithms on a logarithmic scale.

    Args:
        design: Which one.
        space: What it fills.
        seed: Seed of its scrambling; the same one gives the same points.
        count: Number of points, at least 1.

    Example:
        >>> from search_spaces.dimensions import IntDimension
        >>> space = Space(dimensions={"top_k": IntDimension(low=1, high=4)}, fixed={})
        >>> sorted(point["top_k"] for point in design_points(Sobol(), space, 0, 4))
        [1, 2, 3, 4]
    """
    shares = design.shares(len(space.dimensions), seed, count)
    return tuple(_on_axes(space, row) for row in shares.tolist())


def design_point(design: Design, space: Space, seed: int, number: int) -> dict[str, ParamValue]:
    """Give one point of a design; the first has number 0."""
    shares = design.shares(len(space.dimensions), seed, number + 1)
    return _on_axes(space, shares[number].tolist())


def _on_axes(space: Space, shares: Iterable[float]) -> dict[str, ParamValue]:
    axes = zip(space.dimensions.items(), shares, strict=True)
    point = {name: value_at(axis, share) for (name, axis), share in axes}
    return {name: value for name, value in point.items() if space.is_open(name, point)}


def sweep(
    centre: Mapping[str, ParamValue], over: str, values: Iterable[ParamValue]
) -> tuple[dict[str, ParamValue], ...]:
    """Take one dimension through some values and hold the others at a centre.

    Example:
        >>> sweep({"top_k": 3, "alpha": 0.5}, "top_k", [1, 2])
        ({'top_k': 1, 'alpha': 0.5}, {'top_k': 2, 'alpha': 0.5})
    """
    return tuple({**centre, over: value} for value in values)


def distinct(points: Iterable[Mapping[str, ParamValue]]) -> tuple[dict[str, ParamValue], ...]:
    """Drop points that occurred before; the order is kept.

    Example:
        >>> distinct([{"top_k": 1}, {"top_k": 2}, {"top_k": 1}])
        ({'top_k': 1}, {'top_k': 2})
    """
    kept: list[dict[str, ParamValue]] = []
    for point in points:
        if dict(point) not in kept:
            kept.append(dict(point))
    return tuple(kept)
