"""How a storm keeps a study going: with a clock, a driver and blows that are made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from study.chaos import storm as storm_module
from study.chaos.blows import STRIKES, Effect
from study.chaos.chronicle import Chronicle
from study.chaos.plan import KINDS, Blow, Kind
from study.chaos.storm import Storm
from study.errors import StudyError
from study.store.folder import StudyFolder
from study.tracking.entries import SetNote
from study.tracking.outbox import Outbox

EARLY_S = 10.0


@dataclass(slots=True)
class Clock:
    """Time that passes when somebody sleeps."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass(slots=True)
class FakeArena:
    """A study that trains from the tenth second after each start, and ends when it is told to.

    Attributes:
        clock: The time.
        folder: Its folder.
        works_s: How long it must train in all before it is finished.
        fails: Exit codes of its next starts, which then never train.
        hangs_from_s: How long it may train in all before it hangs.
    """

    clock: Clock
    folder: StudyFolder
    works_s: float = 60.0
    fails: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    code: int | None = 0
    log: str = "driver.log"
    process_from_s: float = 0.0
    hangs_from_s: float = float("inf")
    _since: float = 0.0
    _done_s: float = 0.0

    @property
    def driver(self) -> FakeArena:
        return self

    @property
    def cluster(self) -> FakeArena:
        return self

    def trial_processes(self) -> tuple[int, ...]:
        return (7,) if self.clock.now > self.process_from_s else ()

    @property
    def n_starts(self) -> int:
        return len(self.starts)

    def start_study(self, trials: int) -> None:
        assert self.starts == [] or self.poll() is not None, "two drivers at once"
        self.starts.append(trials)
        self._since, self.code = self.clock.now, None

    def trained_s(self) -> float:
        if self.code is not None or self.fails:
            return self._done_s
        trained_s = self._done_s + max(0.0, self.clock.now - self._since - EARLY_S)
        return min(trained_s, self.hangs_from_s)

    def n_reports(self) -> int:
        return int(self.trained_s())

    def end(self, code: int) -> None:
        self._done_s = self.trained_s()
        self.code = code

    def poll(self) -> int | None:
        if self.code is None and self.fails and self.clock.now > self._since + 2:
            self.code = self.fails.pop(0)
        if self.code is None and self.trained_s() >= self.works_s:
            self.end(0)
        return self.code

    def said(self) -> str:
        return "the last words"


Hit = Callable[[FakeArena, Any], Effect]


@dataclass(slots=True)
class Scene:
    """A storm over a made-up study."""

    clock: Clock
    arena: FakeArena
    hits: dict[Kind, Hit]
    said: list[str] = field(default_factory=list)

    def run(self, *blows: Blow, seconds: float = 60.0) -> Chronicle:
        arena: Any = self.arena
        return Storm(arena=arena, blows=blows, seconds=seconds, tell=self.said.append).run()


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    clock = Clock()
    arena = FakeArena(clock=clock, folder=StudyFolder(path=tmp_path))
    hits: dict[Kind, Hit] = {}
    monkeypatch.setattr(storm_module, "time", clock)
    monkeypatch.setattr(storm_module, "STRIKES", hits)
    return Scene(clock=clock, arena=arena, hits=hits)


def kill_driver(arena: FakeArena, rng: object) -> Effect:  # noqa: ARG001 (a strike)
    arena.end(-9)
    return Effect(note="killed", ends_driver=True)


def nothing(arena: FakeArena, rng: object) -> Effect:  # noqa: ARG001
    return Effect(note="hit")


def test_there_is_a_strike_for_every_kind() -> None:
    assert set(STRIKES) == set(KINDS)


def test_a_study_that_nothing_strikes_runs_to_its_end(scene: Scene) -> None:
    chronicle = scene.run()
    assert chronicle.is_finished
    assert (chronicle.n_starts, chronicle.ends, chronicle.struck) == (1, (), ())
    assert chronicle.seconds == pytest.approx(60, abs=2)


def test_a_driver_that_was_killed_is_started_again_and_explained(scene: Scene) -> None:
    scene.hits["driver"] = kill_driver
    chronicle = scene.run(Blow(kind="driver", at_s=5), Blow(kind="driver", at_s=30))
    assert chronicle.is_finished
    assert [(end.code, end.cause) for end in chronicle.ends] == [(-9, "driver")] * 2
    assert chronicle.n_starts == 3
    assert [round(struck.at_s) for struck in chronicle.struck] == [5, 30]


def test_a_blow_waits_until_something_trains_and_delays_all_that_follow(scene: Scene) -> None:
    scene.hits.update({"driver": kill_driver, "worker": nothing})
    chronicle = scene.run(
        Blow(kind="driver", at_s=5), Blow(kind="worker", at_s=6), Blow(kind="worker", at_s=12)
    )
    times = [struck.at_s for struck in chronicle.struck]
    assert times[1] == pytest.approx(5 + EARLY_S + 1, abs=1)
    assert times[2] - times[1] == pytest.approx(6, abs=0.5)


def test_a_worker_is_struck_when_there_is_one(scene: Scene) -> None:
    scene.hits.update({"worker": nothing, "twice": nothing})
    scene.arena.process_from_s = scene.clock.now + EARLY_S + 20
    chronicle = scene.run(Blow(kind="twice", at_s=4), Blow(kind="worker", at_s=5))
    assert [round(struck.at_s) for struck in chronicle.struck] == pytest.approx([4, 19], abs=1)


def test_a_driver_that_ends_for_no_reason_is_unexplained_with_its_last_words(
    scene: Scene,
) -> None:
    scene.hits["worker"] = lambda arena, _: [arena.end(1), Effect(note="hit")][1]
    chronicle = scene.run(Blow(kind="worker", at_s=5))
    assert [(e.code, e.cause, e.said) for e in chronicle.ends] == [(1, None, "the last words")]
    assert chronicle.is_finished
    assert any("ended unasked with exit code 1: the last words" in line for line in scene.said)


def test_a_driver_that_ends_again_and_again_is_given_up(scene: Scene) -> None:
    def break_it(arena: FakeArena, rng: object) -> Effect:  # noqa: ARG001
        arena.end(1)
        arena.fails = [1] * 100
        return Effect(note="hit")

    scene.hits.update({"worker": break_it, "driver": kill_driver})
    chronicle = scene.run(Blow(kind="worker", at_s=5), Blow(kind="driver", at_s=9))
    assert not chronicle.is_finished
    assert [end.cause for end in chronicle.ends] == [None] * 3
    assert chronicle.n_starts == 3


def test_a_driver_that_cannot_start_without_its_database_is_excused_until_it_is_back(
    scene: Scene,
) -> None:
    def strike(arena: FakeArena, rng: object) -> Effect:  # noqa: ARG001
        arena.end(-9)
        arena.fails = [2, 2]
        return Effect(note="away", undo=lambda: None, ends_driver=True)

    scene.hits["database"] = strike
    chronicle = scene.run(Blow(kind="database", at_s=5, length_s=4))
    assert [(end.code, end.cause) for end in chronicle.ends] == [
        (-9, "database"),
        (2, "database"),
        (2, "database"),
    ]
    assert chronicle.is_finished


def test_a_driver_that_does_not_start_though_its_database_is_back_is_not_excused(
    scene: Scene,
) -> None:
    def strike(arena: FakeArena, rng: object) -> Effect:  # noqa: ARG001
        arena.fails = [2]
        arena.end(-9)
        return Effect(note="hit", ends_driver=True)

    scene.hits["driver"] = strike
    chronicle = scene.run(Blow(kind="driver", at_s=5))
    assert [(end.code, end.cause) for end in chronicle.ends] == [(-9, "driver"), (2, None)]


def test_what_is_away_comes_back_in_its_time_and_is_not_struck_twice(scene: Scene) -> None:
    back: list[float] = []
    scene.hits["mlflow"] = lambda arena, _: Effect(
        note="away", undo=lambda: back.append(arena.clock.now)
    )
    began = scene.clock.now
    chronicle = scene.run(
        Blow(kind="mlflow", at_s=5, length_s=20),
        Blow(kind="mlflow", at_s=10, length_s=20),
        Blow(kind="mlflow", at_s=50, length_s=30),
    )
    assert [struck.outcome for struck in chronicle.struck] == ["survived", "skipped", "survived"]
    # Also after the last trial: the study's end is seen only when everything is back.
    assert [round(at - began - EARLY_S) for at in back] == pytest.approx([26, 81], abs=2)
    assert chronicle.is_finished


def test_a_study_that_ends_before_the_blows_do_is_made_longer(scene: Scene) -> None:
    scene.hits["worker"] = nothing
    scene.arena.works_s = 20
    seconds = 120.0

    def longer(arena: FakeArena, rng: object) -> Effect:  # noqa: ARG001
        arena.works_s = 100
        return Effect(note="hit")

    scene.hits["mlflow"] = longer
    chronicle = scene.run(
        Blow(kind="mlflow", at_s=20.5), Blow(kind="worker", at_s=100), seconds=seconds
    )
    assert chronicle.is_finished
    assert scene.arena.starts[0] < scene.arena.starts[-1]
    assert {end.cause for end in chronicle.ends} == {"finished"}


def test_what_mlflow_was_not_told_is_delivered_by_one_more_start(scene: Scene) -> None:
    Outbox(path=scene.arena.folder.outbox).put([SetNote(run_key=None, markdown="waits")])
    chronicle = scene.run()
    assert chronicle.is_finished
    assert [(end.code, end.cause) for end in chronicle.ends] == [(0, "finished")] * 2


def test_a_study_that_gets_on_is_waited_for_however_slow_the_machine_is(scene: Scene) -> None:
    scene.arena.works_s = 3000
    assert scene.run(seconds=60).is_finished


def test_a_study_that_gets_on_without_end_is_left_after_an_hour(scene: Scene) -> None:
    scene.arena.works_s = 1e9
    chronicle = scene.run(seconds=60)
    assert not chronicle.is_finished
    assert chronicle.seconds == pytest.approx(3600, abs=2)


def test_a_study_that_hangs_is_left_after_a_while(scene: Scene) -> None:
    scene.arena.works_s = 1e9
    scene.arena.hangs_from_s = 100.0
    chronicle = scene.run(seconds=60)
    assert not chronicle.is_finished
    assert chronicle.seconds == pytest.approx(400, abs=3)


def test_a_study_that_never_trains_is_an_error_with_what_its_driver_said(scene: Scene) -> None:
    scene.arena.fails = [2] * 100
    with pytest.raises(StudyError) as refused:
        scene.run(Blow(kind="driver", at_s=5))
    assert str(refused.value) == (
        "the study must train before it is struck, but does not; its driver said: the last "
        "words; look at driver.log."
    )
