"""How a storm keeps a study going: with a clock, a driver and blows that are made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from study.records.errors import StudyError
from study.storage.layout import StudyFolder
from study.tracking.outbox import Outbox
from study.tracking.record_types import SetNote
from tests.faults import injector as storm_module
from tests.faults.event_log import EventLog
from tests.faults.injections import INJECTIONS, InjectionEffect
from tests.faults.injector import FaultInjector
from tests.faults.schedule import FAULT_KINDS, Fault, FaultKind

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
class FakeHarness:
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
    def driver(self) -> FakeHarness:
        return self

    @property
    def cluster(self) -> FakeHarness:
        return self

    def trial_pids(self) -> tuple[int, ...]:
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

    def output(self) -> str:
        return "the last words"


Hit = Callable[[FakeHarness, Any], InjectionEffect]


@dataclass(slots=True)
class Scene:
    """A storm over a made-up study."""

    clock: Clock
    harness: FakeHarness
    hits: dict[FaultKind, Hit]
    output: list[str] = field(default_factory=list)

    def run(self, *faults: Fault, seconds: float = 60.0) -> EventLog:
        harness: Any = self.harness
        return FaultInjector(
            harness=harness, faults=faults, seconds=seconds, on_event=self.output.append
        ).run()


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    clock = Clock()
    harness = FakeHarness(clock=clock, folder=StudyFolder(path=tmp_path))
    hits: dict[FaultKind, Hit] = {}
    monkeypatch.setattr(storm_module, "time", clock)
    monkeypatch.setattr(storm_module, "INJECTIONS", hits)
    return Scene(clock=clock, harness=harness, hits=hits)


def kill_driver(harness: FakeHarness, rng: object) -> InjectionEffect:  # noqa: ARG001 (a strike)
    harness.end(-9)
    return InjectionEffect(note="killed", ends_driver=True)


def nothing(harness: FakeHarness, rng: object) -> InjectionEffect:  # noqa: ARG001
    return InjectionEffect(note="hit")


def test_there_is_an_injection_for_every_kind() -> None:
    assert set(INJECTIONS) == set(FAULT_KINDS)


def test_a_study_without_faults_runs_to_its_end(scene: Scene) -> None:
    event_log = scene.run()
    assert event_log.is_finished
    assert (event_log.n_starts, event_log.ends, event_log.injected) == (1, (), ())
    assert event_log.seconds == pytest.approx(60, abs=2)


def test_a_driver_that_was_killed_is_started_again_and_explained(scene: Scene) -> None:
    scene.hits["driver"] = kill_driver
    event_log = scene.run(Fault(kind="driver", at_s=5), Fault(kind="driver", at_s=30))
    assert event_log.is_finished
    assert [(end.code, end.cause) for end in event_log.ends] == [(-9, "driver")] * 2
    assert event_log.n_starts == 3
    assert [round(injected.at_s) for injected in event_log.injected] == [5, 30]


def test_a_fault_waits_until_something_trains_and_delays_all_that_follow(scene: Scene) -> None:
    scene.hits.update({"driver": kill_driver, "worker": nothing})
    event_log = scene.run(
        Fault(kind="driver", at_s=5), Fault(kind="worker", at_s=6), Fault(kind="worker", at_s=12)
    )
    times = [injected.at_s for injected in event_log.injected]
    assert times[1] == pytest.approx(5 + EARLY_S + 1, abs=1)
    assert times[2] - times[1] == pytest.approx(6, abs=0.5)


def test_a_worker_fault_waits_for_a_worker(scene: Scene) -> None:
    scene.hits.update({"worker": nothing, "twice": nothing})
    scene.harness.process_from_s = scene.clock.now + EARLY_S + 20
    event_log = scene.run(Fault(kind="twice", at_s=4), Fault(kind="worker", at_s=5))
    assert [round(injected.at_s) for injected in event_log.injected] == pytest.approx(
        [4, 19], abs=1
    )


def test_a_driver_that_ends_for_no_reason_is_unexplained_with_its_last_words(
    scene: Scene,
) -> None:
    scene.hits["worker"] = lambda harness, _: [harness.end(1), InjectionEffect(note="hit")][1]
    event_log = scene.run(Fault(kind="worker", at_s=5))
    assert [(e.code, e.cause, e.output) for e in event_log.ends] == [(1, None, "the last words")]
    assert event_log.is_finished
    assert any("ended unasked with exit code 1: the last words" in line for line in scene.output)


def test_a_driver_that_ends_again_and_again_is_given_up(scene: Scene) -> None:
    def break_it(harness: FakeHarness, rng: object) -> InjectionEffect:  # noqa: ARG001
        harness.end(1)
        harness.fails = [1] * 100
        return InjectionEffect(note="hit")

    scene.hits.update({"worker": break_it, "driver": kill_driver})
    event_log = scene.run(Fault(kind="worker", at_s=5), Fault(kind="driver", at_s=9))
    assert not event_log.is_finished
    assert [end.cause for end in event_log.ends] == [None] * 3
    assert event_log.n_starts == 3


def test_a_driver_that_cannot_start_without_its_database_is_excused_until_it_is_back(
    scene: Scene,
) -> None:
    def inject(harness: FakeHarness, rng: object) -> InjectionEffect:  # noqa: ARG001
        harness.end(-9)
        harness.fails = [2, 2]
        return InjectionEffect(note="away", undo=lambda: None, ends_driver=True)

    scene.hits["database"] = inject
    event_log = scene.run(Fault(kind="database", at_s=5, length_s=4))
    assert [(end.code, end.cause) for end in event_log.ends] == [
        (-9, "database"),
        (2, "database"),
        (2, "database"),
    ]
    assert event_log.is_finished


def test_a_driver_that_does_not_start_though_its_database_is_back_is_not_excused(
    scene: Scene,
) -> None:
    def inject(harness: FakeHarness, rng: object) -> InjectionEffect:  # noqa: ARG001
        harness.fails = [2]
        harness.end(-9)
        return InjectionEffect(note="hit", ends_driver=True)

    scene.hits["driver"] = inject
    event_log = scene.run(Fault(kind="driver", at_s=5))
    assert [(end.code, end.cause) for end in event_log.ends] == [(-9, "driver"), (2, None)]


def test_an_outage_ends_in_its_time_and_is_not_injected_twice(scene: Scene) -> None:
    back: list[float] = []
    scene.hits["mlflow"] = lambda harness, _: InjectionEffect(
        note="away", undo=lambda: back.append(harness.clock.now)
    )
    began = scene.clock.now
    event_log = scene.run(
        Fault(kind="mlflow", at_s=5, length_s=20),
        Fault(kind="mlflow", at_s=10, length_s=20),
        Fault(kind="mlflow", at_s=50, length_s=30),
    )
    assert [injected.outcome for injected in event_log.injected] == [
        "survived",
        "skipped",
        "survived",
    ]
    # Also after the last trial: the study's end is seen only when everything is back.
    assert [round(at - began - EARLY_S) for at in back] == pytest.approx([26, 81], abs=2)
    assert event_log.is_finished


def test_a_study_that_ends_before_the_faults_do_is_extended(scene: Scene) -> None:
    scene.hits["worker"] = nothing
    scene.harness.works_s = 20
    seconds = 120.0

    def longer(harness: FakeHarness, rng: object) -> InjectionEffect:  # noqa: ARG001
        harness.works_s = 100
        return InjectionEffect(note="hit")

    scene.hits["mlflow"] = longer
    event_log = scene.run(
        Fault(kind="mlflow", at_s=20.5), Fault(kind="worker", at_s=100), seconds=seconds
    )
    assert event_log.is_finished
    assert scene.harness.starts[0] < scene.harness.starts[-1]
    assert {end.cause for end in event_log.ends} == {"finished"}


def test_what_mlflow_was_not_told_is_delivered_by_one_more_start(scene: Scene) -> None:
    Outbox(path=scene.harness.folder.outbox).put([SetNote(run_key=None, markdown="waits")])
    event_log = scene.run()
    assert event_log.is_finished
    assert [(end.code, end.cause) for end in event_log.ends] == [(0, "finished")] * 2


def test_a_study_that_gets_on_is_waited_for_however_slow_the_machine_is(scene: Scene) -> None:
    scene.harness.works_s = 3000
    assert scene.run(seconds=60).is_finished


def test_a_study_that_gets_on_without_end_is_left_after_an_hour(scene: Scene) -> None:
    scene.harness.works_s = 1e9
    event_log = scene.run(seconds=60)
    assert not event_log.is_finished
    assert event_log.seconds == pytest.approx(3600, abs=2)


def test_a_study_that_hangs_is_left_after_a_while(scene: Scene) -> None:
    scene.harness.works_s = 1e9
    scene.harness.hangs_from_s = 100.0
    event_log = scene.run(seconds=60)
    assert not event_log.is_finished
    assert event_log.seconds == pytest.approx(400, abs=3)


def test_a_study_that_never_trains_is_an_error_with_what_its_driver_said(scene: Scene) -> None:
    scene.harness.fails = [2] * 100
    with pytest.raises(StudyError) as refused:
        scene.run(Fault(kind="driver", at_s=5))
    assert str(refused.value) == (
        "the study must train before it is struck, but does not; its driver said: the last "
        "words; look at driver.log."
    )
