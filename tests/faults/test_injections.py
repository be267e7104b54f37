"""What each blow strikes, and how it judges what the program does on the spot."""

from __future__ import annotations

import os
import random
import signal
import socket
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from study.storage.layout import StudyFolder
from tests.faults import injections
from tests.faults.injections import INJECTIONS, InjectionEffect
from tests.faults.schedule import FaultKind
from trainables.runtime.attempts import append_attempt

DRIVER = 4711


@dataclass(slots=True)
class FakeDriver:
    """A driver that ends with a code some seconds after it was told to, or never."""

    code: int | None = 0
    seconds: float | None = 1.0
    deliverer: int | None = 8
    pid: int = DRIVER
    received: list[signal.Signals] = field(default_factory=list)
    is_over: bool = False

    def signal(self, what: signal.Signals) -> None:
        self.received.append(what)
        self.is_over |= what == signal.SIGKILL

    def wait(self, timeout_s: float) -> float | None:
        if self.seconds is not None and self.seconds <= timeout_s:
            self.is_over = True
            return self.seconds
        return None

    def poll(self) -> int | None:
        return self.code if self.is_over else None

    def sync_process_pid(self) -> int | None:
        return self.deliverer


@dataclass(slots=True)
class FakeCluster:
    """Nodes that can be killed and join."""

    trials: tuple[int, ...] = (5, 6)
    nodes: list[Any] = field(
        default_factory=lambda: [
            SimpleNamespace(plan=SimpleNamespace(ip=f"127.0.0.{i}", cpus=1)) for i in (2, 3, 4)
        ]
    )
    events: list[str] = field(default_factory=list)

    @property
    def workers(self) -> list[Any]:
        return self.nodes[1:]

    def trial_pids(self) -> tuple[int, ...]:
        return self.trials

    def kill(self, node: Any) -> None:  # noqa: ANN401
        self.events.append(f"kill {node.spec.ip}")
        self.nodes.remove(node)

    def shutdown(self) -> None:
        self.events.append("shutdown")

    def start(self, workers: tuple[int, ...]) -> None:
        self.events.append(f"start {len(workers)}")

    def add_workers(self, cpus: list[int]) -> None:
        self.events.append(f"add {cpus}")


@dataclass(slots=True)
class FakeHarness:
    """What a blow may touch."""

    folder: StudyFolder
    driver: FakeDriver = field(default_factory=FakeDriver)
    cluster: FakeCluster = field(default_factory=FakeCluster)
    second: tuple[int | None, str] = (2, "")
    events: list[str] = field(default_factory=list)

    @property
    def mlflow(self) -> Any:  # noqa: ANN401
        return SimpleNamespace(
            kill=lambda: self.events.append("kill"), launch=lambda: self.events.append("launch")
        )

    @property
    def database(self) -> Any:  # noqa: ANN401
        return SimpleNamespace(inject=lambda: "away", restore=lambda: self.events.append("back"))

    def start_second(self, timeout_s: float) -> tuple[int | None, str]:  # noqa: ARG002
        return self.second


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Kill nobody, and remember who it would have been."""
    found: list[int] = []
    monkeypatch.setattr(injections, "kill", found.append)
    return found


@pytest.fixture
def harness(tmp_path: Path) -> FakeHarness:
    return FakeHarness(folder=StudyFolder(path=tmp_path))


def inject(kind: FaultKind, harness: Any) -> InjectionEffect:  # noqa: ANN401
    return INJECTIONS[kind](harness, random.Random(0))


def test_a_worker_s_process_is_killed(harness, killed) -> None:
    effect = inject("worker", harness)
    assert effect.outcome == "survived"
    assert killed[0] in (5, 6)
    assert effect.note == f"killed a trial's process, {killed[0]}"


@pytest.mark.parametrize("kind", ["worker", "checkpoint"])
def test_without_a_trial_s_process_the_fault_is_skipped(harness, killed, kind) -> None:
    harness.cluster.trials = ()
    assert inject(kind, harness).outcome == "skipped"
    assert killed == []


def test_the_newest_checkpoint_is_truncated_and_whoever_wrote_it_killed(harness, killed) -> None:
    harness.cluster.trials = (5, os.getpid())
    for pid, age in ((0, 100), (1, 0)):
        trial = harness.folder.path / "trials" / "base" / "search" / f"{pid:05d}"
        trial.mkdir(parents=True)
        path = trial / "epoch-00000003-abc.pt"
        path.write_bytes(b"x" * 1000)
        os.utime(path, (1e9 - age, 1e9 - age))
        append_attempt(trial, 0)
    effect = inject("checkpoint", harness)
    assert path.stat().st_size == 500
    assert killed == [os.getpid()]
    assert effect.note == (
        f"truncated epoch-00000003 of base/search/00001 and killed process {os.getpid()}"
    )


def test_without_a_checkpoint_the_fault_is_skipped(harness, killed) -> None:
    assert inject("checkpoint", harness).outcome == "skipped"
    assert killed == []


def test_the_delivery_is_killed_if_there_is_one(harness, killed) -> None:
    assert inject("delivery", harness).outcome == "survived"
    harness.driver.deliverer = None
    assert inject("delivery", harness).outcome == "skipped"
    assert killed == [8]


def test_mlflow_and_the_database_can_be_brought_back(harness) -> None:
    for kind in ("mlflow", "database"):
        effect = inject(kind, harness)
        assert not effect.ends_driver
        assert effect.undo is not None
        effect.undo()
    assert harness.events == ["kill", "launch", "back"]


def test_a_node_is_killed_and_another_joins_unless_a_new_cluster_has_all(harness) -> None:
    effect = inject("node", harness)
    assert harness.cluster.events[0] in ("kill 127.0.0.3", "kill 127.0.0.4")
    assert inject("node", harness).outcome == "skipped"
    assert effect.undo is not None
    effect.undo()
    assert harness.cluster.events[1:] == ["add [1]"]
    harness.cluster.nodes = [None, None, None]
    effect.undo()
    assert len(harness.cluster.events) == 2


def test_the_driver_is_killed(harness) -> None:
    effect = inject("driver", harness)
    assert effect.ends_driver
    assert harness.driver.received == [signal.SIGKILL]


@pytest.mark.parametrize(
    ("code", "seconds", "outcome", "note"),
    [
        (130, 4.2, "survived", "SIGTERM ended the driver after 4.2 s with exit code 130"),
        (0, 4.2, "survived", "SIGTERM ended the driver after 4.2 s with exit code 0"),
        (1, 4.2, "failed", "SIGTERM ended the driver after 4.2 s with exit code 1"),
        (-15, 0.1, "failed", "SIGTERM ended the driver after 0.1 s with exit code -15"),
        (-9, None, "failed", "SIGTERM did not end the driver within 30 s"),
    ],
)
def test_a_preempted_driver_must_end_in_time_with_130(
    harness, code, seconds, outcome, note
) -> None:
    harness.driver = FakeDriver(code=code, seconds=seconds)
    assert inject("preempt", harness) == InjectionEffect(
        note=note, outcome=outcome, ends_driver=True
    )
    killed = [] if seconds is not None else [signal.SIGKILL]
    assert harness.driver.received == [signal.SIGTERM, *killed]


@pytest.mark.parametrize(
    ("seconds", "code", "outcome"),
    # With 1 it is Ray that ends the driver, in words of its own.
    [(8.0, 2, "survived"), (16.0, 1, "failed"), (None, 2, "failed")],
)
def test_a_driver_must_say_that_its_head_is_gone_and_a_new_one_follows(
    harness, seconds, code, outcome
) -> None:
    harness.driver = replace(harness.driver, seconds=seconds, code=code)
    effect = inject("head", harness)
    assert (effect.outcome, effect.ends_driver) == (outcome, True)
    assert harness.cluster.events == ["kill 127.0.0.2", "shutdown", "start 2"]
    assert harness.driver.is_over


REFUSED = f"BusyError: study 'chaos' is being run by process {DRIVER} on {socket.gethostname()}"


@pytest.mark.parametrize(
    ("second", "outcome"),
    [
        ((2, REFUSED), "survived"),
        ((2, "StoreError: no database"), "failed"),
        ((0, REFUSED), "failed"),
        ((None, ""), "failed"),
    ],
)
def test_a_second_start_must_be_refused_naming_the_first(harness, second, outcome) -> None:
    harness.second = second
    effect = inject("twice", harness)
    assert (effect.outcome, effect.ends_driver) == (outcome, False)
    assert (second[1] in effect.note) == (outcome == "failed")


def test_a_second_start_is_not_judged_if_the_first_run_ended(harness) -> None:
    harness.driver.is_over = True
    assert inject("twice", harness).outcome == "skipped"
