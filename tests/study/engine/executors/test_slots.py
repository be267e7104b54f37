"""The quota of a study on a shared cluster: its reports, its messages, and its slots."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from cluster.quota import Load
from study.engine.executors import slots
from study.engine.executors.slots import ClusterQuota


@dataclass(slots=True, kw_only=True)
class FakeCoordinator:
    n_running: int = 0
    n_pending: int = 5


@dataclass(slots=True, kw_only=True)
class FakeQuotaClient:
    granted: int = 0
    limit: int = 0
    should_yield: bool = False
    ahead: tuple[str, ...] = ()
    error: str | None = None
    position: str = "second of 2 studies, 0 of 5 trials"
    reported: list[Load] = field(default_factory=list)

    def report(self, load: Load) -> None:
        self.reported.append(load)


class QuotaScene:
    def __init__(self) -> None:
        self.coordinator: Any = FakeCoordinator()
        self.client: Any = FakeQuotaClient()
        self.messages: list[str] = []
        self.quota = ClusterQuota(self.coordinator, self.client, self.messages.append)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> QuotaScene:
    monkeypatch.setattr(slots, "_UPDATE_S", 0.0)
    return QuotaScene()


def test_waiting_is_reported_once_with_the_studies_ahead_and_its_end_once(scene):
    scene.client.ahead = ("ours", "theirs", "ours")
    for _ in range(3):
        scene.quota.update()
    assert scene.messages == [
        "waits for its turn on the cluster (second of 2 studies, 0 of 5 trials), after ours, "
        "theirs."
    ]
    # The queue was lost, and a new one does not know the others yet.
    for scene.client.ahead in ((), ("ours",)):
        scene.quota.update()
    scene.client.granted, scene.client.position = 1, "second of 2 studies, 1 of 5 trials"
    for _ in range(3):
        scene.quota.update()
    assert scene.messages[1:] == ["goes on: second of 2 studies, 1 of 5 trials on the cluster."]


def test_a_study_that_is_single_or_still_trains_reports_no_waiting(scene):
    scene.quota.update()
    scene.client.ahead, scene.coordinator.n_running = ("ours",), 1
    scene.quota.update()
    assert scene.messages == []


def test_a_queue_that_does_not_answer_is_reported_once_and_its_last_answer_holds(scene):
    scene.client.error = "it is gone"
    for _ in range(2):
        scene.quota.update()
    scene.client.error = None
    scene.quota.update()
    scene.client.granted, scene.client.error = 2, "it is slow"
    scene.quota.update()
    assert scene.messages == [
        "the cluster's queue does not answer (it is gone); the study waits.",
        "the cluster's queue answers again.",
        "the cluster's queue does not answer (it is slow); the study goes on with 2 trials at a "
        "time.",
    ]


def test_the_load_counts_trials_with_and_without_a_slot_and_those_that_could_start(scene):
    scene.coordinator.n_running = 3
    for trial in ("a", "b", "a"):
        scene.quota.slot_acquired(trial)
    scene.quota.update()
    scene.quota.slot_released("a")
    scene.quota.slot_released("never started")
    scene.quota.update()
    assert scene.client.reported == [
        Load(running=3, placed=2, wanted=8),
        Load(running=3, placed=1, wanted=8),
    ]


def test_the_load_is_not_reported_in_every_iteration_of_tune():
    scene = QuotaScene()
    for _ in range(20):
        scene.quota.update()
    assert len(scene.client.reported) < 20


@pytest.mark.parametrize(
    ("training", "ending", "limit", "should_yield", "keeps"),
    [
        (1, 0, 2, False, True),
        (2, 0, 2, False, False),
        (2, 1, 2, False, True),
        (1, 1, 0, False, False),
        (1, 0, 2, True, False),
    ],
)
def test_a_free_slot_is_kept_only_for_a_trial_that_may_start(
    scene, training, ending, limit, should_yield, keeps
):
    scene.coordinator.n_running = training
    scene.client.limit, scene.client.should_yield = limit, should_yield
    assert scene.quota.keeps_slot(ending) is keeps


def test_without_a_queue_nothing_is_limited_and_every_slot_is_kept(scene):
    single = ClusterQuota(scene.coordinator, None, scene.messages.append)
    single.update()
    assert (single.limit, single.keeps_slot(), single.is_shared, scene.messages) == (
        None,
        True,
        False,
        [],
    )


def test_on_a_ray_of_its_own_a_study_starts_as_many_trials_as_fit(scene):
    single = ClusterQuota(scene.coordinator, None, scene.messages.append, slots=3)
    assert (single.limit, single.keeps_slot(), single.is_shared) == (3, True, False)
