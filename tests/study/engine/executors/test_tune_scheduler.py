"""Slots that Tune releases for other studies, and the trials that get idle actors."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.utils.object_cache import _ObjectCache

from study.engine.executors.tune_scheduler import StudyScheduler


class FakeQuota:
    def __init__(self, *, is_shared: bool = True, limit: int | None = 3) -> None:
        self.is_shared, self.limit, self.keeps = is_shared, limit, True

    def keeps_slot(self, ending: int = 0) -> bool:  # noqa: ARG002 (the interface)
        return self.keeps


class FakeController:
    def __init__(self, *statuses: str) -> None:
        self.trials = [
            SimpleNamespace(status=status, n=n, config={"key": f"a/search/{n}"})
            for n, status in enumerate(statuses)
        ]
        self._actor_cache: Any = _ObjectCache(may_keep_one=True)
        self.max_pending = 1

    def get_trials(self) -> list[Any]:
        return self.trials

    def update_max_pending_trials(self, count: int) -> None:
        self.max_pending = count


def chosen(controller: FakeController, quota: FakeQuota) -> int | None:
    scheduler = StudyScheduler({}, quota)  # type: ignore[arg-type]
    for each in controller.get_trials():
        scheduler.on_trial_add(controller, each)  # type: ignore[arg-type]
    trial = scheduler.choose_trial_to_run(controller)  # type: ignore[arg-type]
    return None if trial is None else trial.n  # type: ignore[attr-defined,no-any-return]


def test_trials_start_in_their_order_and_as_many_at_a_time_as_were_granted():
    controller = FakeController(Trial.RUNNING, Trial.PENDING, Trial.PENDING)
    assert chosen(controller, FakeQuota()) == 1
    assert controller.max_pending == 3
    assert chosen(controller, FakeQuota(limit=0)) == 1
    assert controller.max_pending == 1


def test_an_idle_actor_goes_to_the_newest_trial_because_the_others_are_starting_theirs():
    controller = FakeController(Trial.TERMINATED, Trial.PENDING, Trial.PENDING, Trial.RUNNING)
    controller._actor_cache.cache_object("a slot", "an actor")
    assert chosen(controller, FakeQuota()) == 2
    assert chosen(FakeController(Trial.RUNNING), FakeQuota()) is None


@pytest.mark.parametrize("keeps", [True, False])
def test_the_actor_of_a_trial_that_ended_is_kept_only_while_its_slot_is_the_study_s(keeps):
    controller, quota = FakeController(), FakeQuota()
    quota.keeps = keeps
    chosen(controller, quota)
    assert controller._actor_cache.cache_object("a slot", "an actor") is keeps
    # A cached actor is ended as soon as the queue needs its slot.
    quota.keeps = False
    chosen(controller, quota)
    assert list(controller._actor_cache.flush_cached_objects()) == ["an actor"] * keeps


def test_on_a_ray_of_the_study_s_own_all_slots_start_together_and_no_actor_is_ended():
    controller, quota = FakeController(Trial.PENDING), FakeQuota(is_shared=False, limit=2)
    scheduler = StudyScheduler({}, quota)  # type: ignore[arg-type]
    scheduler.choose_trial_to_run(controller)  # type: ignore[arg-type]
    assert controller.max_pending == 2
    cache = controller._actor_cache
    # Tune itself keeps one, and none where trials that it has staged have what they need.
    assert [cache.cache_object("a slot", process) for process in "abc"] == [True] * 3
    assert (cache.num_cached_objects, list(cache.flush_cached_objects())) == (3, [])
    scheduler.choose_trial_to_run(controller)  # type: ignore[arg-type]
    assert controller._actor_cache.pop_cached_object("a slot") == "a"
    assert list(cache.flush_cached_objects(force_all=True)) == ["b", "c"]
    assert cache.num_cached_objects == 0


def test_a_restarted_trial_is_the_newest_and_ended_trials_are_not_visited_again():
    controller = FakeController(Trial.PENDING, Trial.PENDING)
    scheduler = StudyScheduler({}, FakeQuota())  # type: ignore[arg-type]
    first, second = controller.trials
    for trial in (first, second):
        scheduler.on_trial_add(controller, trial)  # type: ignore[arg-type]
    assert scheduler.choose_trial_to_run(controller) is first  # type: ignore[arg-type]
    first.status = Trial.RUNNING
    assert scheduler.choose_trial_to_run(controller) is second  # type: ignore[arg-type]
    # Its process was lost.
    first.status = Trial.PENDING
    scheduler.on_trial_add(controller, first)  # type: ignore[arg-type]
    assert scheduler.choose_trial_to_run(controller) is second  # type: ignore[arg-type]
    second.status = Trial.TERMINATED
    assert scheduler.choose_trial_to_run(controller) is first  # type: ignore[arg-type]
    assert scheduler._added == [first]


def test_tune_still_has_what_is_set_here():
    assert callable(TuneController.update_max_pending_trials)
    assert _ObjectCache()._may_keep_one is True
