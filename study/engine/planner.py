"""The planner: requests for the next trials of a study, from its state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from search_spaces import ParamValue
from study.config.arm import Arm
from study.records.trial_table import PhaseName
from study.results.state import StudyState
from study.storage.layout import TrialKey
from study.storage.trial_store import (
    DesignSettings,
    SamplerSettings,
    SearchSettings,
    TrialRecord,
    TrialStore,
)
from trainables.seeding import derive_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTrial:
    """Request for a search trial that a sampler or design proposes, through its group if any.

    Attributes:
        arm: The arm.
        number: The trial's number.
        settings: The sampler or design.
        group_point: The group's point of that number, if another member has created it.
    """

    arm: Arm
    number: int
    settings: SearchSettings
    group_point: TrialRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnqueueTrial:
    """Request for a trial at a given point.

    Attributes:
        arm: The arm.
        phase: Its phase.
        number: The trial's number.
        params: The point.
        replicas: Number of its seeds.
        first_replica: Which of the phase's seeds is the first of them.
    """

    arm: Arm
    phase: PhaseName
    number: int
    params: Mapping[str, ParamValue]
    replicas: int
    first_replica: int = 0


TrialRequest: TypeAlias = SampleTrial | EnqueueTrial


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedTrial:
    """A new trial, and its group's point if it is a member's trial."""

    record: TrialRecord
    group_point: TrialRecord | None = None


def create_trial(store: TrialStore, request: TrialRequest) -> CreatedTrial:
    """Create a requested trial in the trial store; repeatable."""
    if isinstance(request, EnqueueTrial):
        return CreatedTrial(record=_enqueue(store, request))
    arm, number = request.arm, request.number
    if arm.group is None:
        replicas = arm.replicas.search
        return CreatedTrial(
            record=store.ask(arm.name, number, arm.space, request.settings, replicas)
        )
    point = request.group_point or store.ask(arm.group, number, arm.space, request.settings)
    member = EnqueueTrial(
        arm=arm, phase="search", number=number, params=point.params, replicas=arm.replicas.search
    )
    return CreatedTrial(record=_enqueue(store, member), group_point=point)


def next_request(state: StudyState) -> TrialRequest | None:
    """Return the next request, or None while no trial can start.

    Searches come before final trials, and the arm with the smallest share of its budget first, so
    that all searches end together; a race comes between an arm's search and its final trials.
    """
    waiting = [
        (len(state.phase(arm.name, "search").records) / arm.search_budget, i, arm)
        for i, arm in enumerate(state.spec.arms)
        if _has_search_budget(state, arm) and _may_search(state, arm)
    ]
    if waiting:
        return _search_request(state, min(waiting)[2])
    return _confirm_request(state) or _final_request(state)


def search_settings(arm: Arm, seed: int) -> SearchSettings:
    """Return the sampler or design of an arm, or of its group, in a study of a seed."""
    name = arm.group or arm.name
    if arm.search.design is not None:
        return DesignSettings(design=arm.search.design, seed=derive_seed(seed, "design", name))
    return SamplerSettings(
        name=arm.search.sampler,
        seed=derive_seed(seed, "sampler", name),
        startup_trials=arm.search.startup_trials,
        lag=arm.search.max_concurrent if arm.search.reproducible else None,
    )


def has_work(state: StudyState) -> bool:
    """Check whether any trial is still to be trained."""
    return any(phase.is_running for phase in state.phases) or next_request(state) is not None


def count_pending(state: StudyState) -> int:
    """Count the trials that could start now, without limits."""
    interrupted = sum(len(phase.interrupted) for phase in state.phases)
    arms = state.spec.arms
    searches = sum(_pending_searches(state, arm) for arm in arms)
    races = sum(len(_pending_races(state, arm)) for arm in arms)
    finals = sum(len(state.pending_points(arm)) for arm in arms)
    return interrupted + searches + races + finals


def _enqueue(store: TrialStore, request: EnqueueTrial) -> TrialRecord:
    key = TrialKey(arm=request.arm.name, phase=request.phase, number=request.number)
    space, first = request.arm.space, request.first_replica
    return store.enqueue(key, request.params, space, request.replicas, first)


def _search_request(state: StudyState, arm: Arm) -> TrialRequest:
    number = len(state.phase(arm.name, "search").records)
    if not arm.space.dimensions:
        return EnqueueTrial(
            arm=arm, phase="search", number=number, params={}, replicas=arm.replicas.search
        )
    settings = search_settings(arm, state.spec.seed)
    point = state.groups[arm.group].records.get(number) if arm.group else None
    return SampleTrial(arm=arm, number=number, settings=settings, group_point=point)


def _final_request(state: StudyState) -> TrialRequest | None:
    for arm in state.spec.arms:
        number = len(state.phase(arm.name, "final").records)
        for params in state.pending_points(arm):
            return EnqueueTrial(
                arm=arm,
                phase="final",
                number=number,
                params=params,
                replicas=arm.replicas.final,
            )
    return None


def _confirm_request(state: StudyState) -> TrialRequest | None:
    for arm in state.spec.arms:
        number = len(state.phase(arm.name, "confirm").records)
        for seeds, params in _pending_races(state, arm):
            return EnqueueTrial(
                arm=arm,
                phase="confirm",
                number=number,
                params=params,
                replicas=len(seeds),
                first_replica=seeds.start,
            )
    return None


def _pending_races(state: StudyState, arm: Arm) -> list[tuple[range, Mapping[str, ParamValue]]]:
    """Return the trials of an arm's race that may start: which seeds, and the point."""
    confirm, search = arm.search.confirm, state.phase(arm.name, "search")
    if confirm is None or not arm.is_searched:
        return []
    if search.is_running or _has_search_budget(state, arm):
        return []
    running = [
        (record.first_replica, record.params)
        for record in state.phase(arm.name, "confirm").records.values()
        if record.state == "RUNNING"
    ]
    if state.best(arm) is not None:
        return []
    race = state.race(arm, confirm)
    pending = [(confirm.seeds_of(end), race.points[one]) for end, one in race.pending]
    return [(seeds, point) for seeds, point in pending if (seeds.start, point) not in running]


def _has_search_budget(state: StudyState, arm: Arm) -> bool:
    return len(state.phase(arm.name, "search").records) < arm.search_budget


def _pending_searches(state: StudyState, arm: Arm) -> int:
    search = state.phase(arm.name, "search")
    left = max(arm.search_budget - len(search.records), 0)
    if not arm.search.reproducible or arm.search.design is not None:
        return left
    return min(left, max(arm.search.max_concurrent - len(search.assigned), 0))


def _may_search(state: StudyState, arm: Arm) -> bool:
    """Return whether the results that the next point of a reproducible search needs are there."""
    number = len(state.phase(arm.name, "search").records)
    if not arm.search.reproducible or arm.search.design is not None:
        return True
    known = state.phase(arm.name, "search").records
    if arm.group is not None:
        known = state.groups[arm.group].records
        if number in known:
            return True
    # Earlier ones had ended when the trial before this one was created.
    needed = known.get(number - arm.search.max_concurrent)
    return needed is None or needed.state != "RUNNING"
