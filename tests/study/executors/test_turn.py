"""What a study that shares a cluster tells the queue and the user, and which places it keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from cluster.queue import Load
from study.executors import turn as turn_module
from study.executors.turn import Turn


@dataclass(slots=True, kw_only=True)
class FakeConductor:
    n_training: int = 0
    n_open: int = 5


@dataclass(slots=True, kw_only=True)
class FakeSeat:
    granted: int = 0
    limit: int = 0
    yields: bool = False
    before: tuple[str, ...] = ()
    trouble: str | None = None
    place: str = "second of 2 studies, 0 of 5 trials"
    told: list[Load] = field(default_factory=list)

    def tell(self, load: Load) -> None:
        self.told.append(load)


class Scene:
    def __init__(self) -> None:
        self.conductor: Any = FakeConductor()
        self.seat: Any = FakeSeat()
        self.said: list[str] = []
        self.turn = Turn(self.conductor, self.seat, self.said.append)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(turn_module, "_PAUSE_S", 0.0)
    return Scene()


def test_a_study_that_waits_says_so_once_with_whom_it_waits_for_and_when_it_goes_on(scene):
    scene.seat.before = ("ours", "theirs", "ours")
    for _ in range(3):
        scene.turn.look()
    assert scene.said == [
        "waits for its turn on the cluster (second of 2 studies, 0 of 5 trials), after ours, "
        "theirs."
    ]
    # The queue was lost, and a new one has not heard of the others yet.
    for scene.seat.before in ((), ("ours",)):
        scene.turn.look()
    scene.seat.granted, scene.seat.place = 1, "second of 2 studies, 1 of 5 trials"
    for _ in range(3):
        scene.turn.look()
    assert scene.said[1:] == ["goes on: second of 2 studies, 1 of 5 trials on the cluster."]


def test_a_study_that_is_alone_or_still_trains_says_nothing(scene):
    scene.turn.look()
    scene.seat.before, scene.conductor.n_training = ("ours",), 1
    scene.turn.look()
    assert scene.said == []


def test_a_queue_that_does_not_answer_is_said_once_and_its_last_word_holds(scene):
    scene.seat.trouble = "it is gone"
    for _ in range(2):
        scene.turn.look()
    scene.seat.trouble = None
    scene.turn.look()
    scene.seat.granted, scene.seat.trouble = 2, "it is slow"
    scene.turn.look()
    assert scene.said == [
        "the cluster's queue does not answer (it is gone); the study waits.",
        "the cluster's queue answers again.",
        "the cluster's queue does not answer (it is slow); the study goes on with 2 trials at a "
        "time.",
    ]


def test_the_queue_hears_of_trials_with_and_without_a_place_and_of_those_that_could_begin(scene):
    scene.conductor.n_training = 3
    for trial in ("a", "b", "a"):
        scene.turn.note_placed(trial)
    scene.turn.look()
    scene.turn.note_gone("a")
    scene.turn.note_gone("never placed")
    scene.turn.look()
    assert scene.seat.told == [
        Load(begun=3, placed=2, wanted=8),
        Load(begun=3, placed=1, wanted=8),
    ]


def test_the_queue_is_not_told_at_every_step_of_tune_s():
    scene = Scene()
    for _ in range(20):
        scene.turn.look()
    assert len(scene.seat.told) < 20


@pytest.mark.parametrize(
    ("training", "ending", "limit", "yields", "keeps"),
    [
        (1, 0, 2, False, True),
        (2, 0, 2, False, False),
        (2, 1, 2, False, True),
        (1, 1, 0, False, False),
        (1, 0, 2, True, False),
    ],
)
def test_a_free_place_is_kept_only_for_a_trial_that_may_begin(
    scene, training, ending, limit, yields, keeps
):
    scene.conductor.n_training = training
    scene.seat.limit, scene.seat.yields = limit, yields
    assert scene.turn.keeps_place(ending) is keeps


def test_without_a_queue_nothing_is_limited_and_every_place_is_kept(scene):
    alone = Turn(scene.conductor, None, scene.said.append)
    alone.look()
    assert (alone.limit, alone.keeps_place(), alone.is_shared, scene.said) == (
        None,
        True,
        False,
        [],
    )


def test_on_a_ray_of_its_own_a_study_begins_as_many_trials_as_fit(scene):
    alone = Turn(scene.conductor, None, scene.said.append, places=3)
    assert (alone.limit, alone.keeps_place(), alone.is_shared) == (3, True, False)
