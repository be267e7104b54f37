"""Designs: points that are chosen beforehand instead of being proposed one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from search_spaces.dimensions import ParamValue


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
