"""Whether a design still gives the points with which its search began.

The points follow from scipy's and SALib's code. Under versions of these that draw others, a block
of Saltelli's could be begun by the one and ended by the other, and no analysis would notice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from search_spaces import ParamValue, design_points
from study.agenda import proposer_settings
from study.books import Books
from study.errors import StoreError
from study.spec import Arm
from study.store.ledger import DesignSettings, Entry


def require_same_points(books: Books) -> None:
    """Compare the points of every design that is to go on with those that were asked for.

    A design that was asked for as a whole is not looked at.

    Raises:
        StoreError: Naming the first trial that the design would now put elsewhere.
    """
    for arm in books.spec.arms:
        search = books.groups[arm.group] if arm.group else books.phase(arm.name, "search")
        entries = search.entries.values()
        settings = proposer_settings(arm, books.spec.seed)
        is_open = 0 < len(entries) < arm.search_budget
        if isinstance(settings, DesignSettings) and arm.space.dimensions and is_open:
            _require_same(arm, settings, entries)


def _require_same(arm: Arm, settings: DesignSettings, entries: Iterable[Entry]) -> None:
    asked = {entry.key.number: entry for entry in entries}
    points = design_points(settings.design, arm.space, settings.seed, max(asked) + 1)
    for number, entry in sorted(asked.items()):
        if not _is_same(entry.params, points[number]):
            raise StoreError(
                f"{entry.key} is a point of design {settings.design.name!r} and must be "
                f"{points[number]}, but was asked for at {dict(entry.params)}; go on with the "
                "versions of scipy and SALib that the study was begun with, or give it another "
                "name."
            )


def _is_same(one: Mapping[str, ParamValue], other: Mapping[str, ParamValue]) -> bool:
    return one.keys() == other.keys() and all(_is_close(one[k], other[k]) for k in one)


def _is_close(one: ParamValue, other: ParamValue) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        # Logarithms may differ by the last bit from one machine to another.
        return math.isclose(one, other, rel_tol=1e-9)
    return one == other
