"""Checks that the trials to come are comparable with those there are.

The points of a design follow from the code of scipy and SALib: if another version drew others, a
block of Saltelli's design could mix both, and no analysis would notice. The configuration of a
trial follows from the study file and this program's defaults.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from search_spaces import ParamValue, design_points
from study.config.arm import Arm
from study.engine.planner import search_settings
from study.records.errors import StoreError
from study.results.state import StudyState
from study.storage.trial_store import DesignSettings, TrialRecord


def require_same_design_points(state: StudyState) -> None:
    """Raise a StoreError for the first trial whose point differs from its unfinished design."""
    for arm in state.spec.arms:
        search = state.groups[arm.group] if arm.group else state.phase(arm.name, "search")
        records = search.records.values()
        settings = search_settings(arm, state.spec.seed)
        is_active = 0 < len(records) < arm.search_budget
        if isinstance(settings, DesignSettings) and arm.space.dimensions and is_active:
            _require_same(arm, settings, records)


def require_same_configurations(state: StudyState) -> None:
    """Raise a StoreError for the first trial that would be configured otherwise now."""
    for record in state.records():
        identity = state.stored(record.key).files.identity
        if identity is not None and identity != state.identity(record):
            raise StoreError(
                f"trial {record.key} was created with configuration {identity.config} and seeds "
                f"{list(identity.seeds)}, but would now have configuration "
                f"{state.identity(record).config} and seeds {list(state.config(record).seeds)}; "
                "continue with the study file and the version of this program that the study was "
                "started with, or give it another name."
            )


def _require_same(arm: Arm, settings: DesignSettings, records: Iterable[TrialRecord]) -> None:
    known = {record.key.number: record for record in records}
    points = design_points(settings.design, arm.space, settings.seed, max(known) + 1)
    for number, record in sorted(known.items()):
        if not _is_same(record.params, points[number]):
            raise StoreError(
                f"{record.key} is a point of design {settings.design.name!r} and must be "
                f"{points[number]}, but was created at {dict(record.params)}; continue with the "
                "versions of scipy and SALib that the study was started with, or give it another "
                "name."
            )


def _is_same(one: Mapping[str, ParamValue], other: Mapping[str, ParamValue]) -> bool:
    return one.keys() == other.keys() and all(_is_close(one[k], other[k]) for k in one)


def _is_close(one: ParamValue, other: ParamValue) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        # Logarithms may differ by the last bit from one machine to another.
        return math.isclose(one, other, rel_tol=1e-9)
    return one == other
