"""Whether a design still gives the points with which its search began.

The points follow from scipy's and SALib's code. Under versions of these that draw others, a block
of Saltelli's could be begun by the one and ended by the other, and no analysis would notice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from search_spaces import ParamValue, design_points
from study.config import Arm
from study.engine.planner import search_settings
from study.records.errors import StoreError
from study.results.state import StudyState
from study.storage.trial_store import DesignSettings, TrialRecord


def require_same_design_points(state: StudyState) -> None:
    """Compare the points of every design that is to go on with those that were asked for.

    A design that was asked for as a whole is not looked at.

    Raises:
        StoreError: Naming the first trial that the design would now put elsewhere.
    """
    for arm in state.spec.arms:
        search = state.groups[arm.group] if arm.group else state.phase(arm.name, "search")
        records = search.records.values()
        settings = search_settings(arm, state.spec.seed)
        is_active = 0 < len(records) < arm.search_budget
        if isinstance(settings, DesignSettings) and arm.space.dimensions and is_active:
            _require_same(arm, settings, records)


def _require_same(arm: Arm, settings: DesignSettings, records: Iterable[TrialRecord]) -> None:
    asked = {record.key.number: record for record in records}
    points = design_points(settings.design, arm.space, settings.seed, max(asked) + 1)
    for number, record in sorted(asked.items()):
        if not _is_same(record.params, points[number]):
            raise StoreError(
                f"{record.key} is a point of design {settings.design.name!r} and must be "
                f"{points[number]}, but was asked for at {dict(record.params)}; go on with the "
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
