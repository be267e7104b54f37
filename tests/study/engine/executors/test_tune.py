"""Trials on Ray Tune: the same numbers as inline, also after its processes died."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from study.engine.coordinator import TrialCoordinator
from study.engine.executors import run_inline, run_on_ray
from study.engine.executors.tune_scheduler import StudyScheduler, asha_schedulers
from study.engine.protocol import Done
from study.records.trial_table import StoredReport
from study.storage.layout import TrialKey
from study.storage.trial_store import TrialRecord
from tests.support.simulated import (
    RecordingCallback,
    StudyFixture,
    metrics_of,
    study_file,
    study_text,
)
from trainables.config import TrialConfig

pytestmark = pytest.mark.ray

BASE = [{"method": "base"}]


def place_of(root: Path, **changes: Any) -> StudyFixture:  # noqa: ANN401 (study_file)
    return StudyFixture.of(root, study_text(**changes))


def on_ray(place: StudyFixture, address: str, callbacks: Sequence[Any] = ()) -> TrialCoordinator:
    coordinator = place.coordinator(callbacks)
    run_on_ray(coordinator, replace(place.context, address=address))
    return coordinator


def inline(place: StudyFixture) -> TrialCoordinator:
    coordinator = place.coordinator()
    run_inline(coordinator, place.context)
    return coordinator


def states(coordinator: TrialCoordinator) -> dict[str, str]:
    return {str(record.key): record.state for record in coordinator.state.records()}


def trainable_processes(home: Path) -> list[int]:
    """List the trials' processes of the Ray whose files lie in a folder."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "environ"])
        if (title := " ".join(process.info["cmdline"] or ())).startswith("ray::")
        and "Trainable" in title
        and any(str(home) in value for value in (process.info["environ"] or {}).values())
    ]


@dataclass(slots=True, kw_only=True)
class Killer:
    """A callback that kills the trials' processes when given epochs are reported."""

    home: Path
    epochs: set[int]
    signals: tuple[signal.Signals, ...] = (signal.SIGKILL,)
    killed: list[int] = field(default_factory=list)

    def on_trial_start(self, record: TrialRecord, config: TrialConfig) -> None:
        """Do nothing."""

    def on_report(self, key: TrialKey, report: StoredReport) -> None:  # noqa: ARG002
        """Kill."""
        if report.epoch in self.epochs:
            for process in trainable_processes(self.home):
                os.kill(process, self.signals[len(self.killed) % len(self.signals)])
                self.killed.append(process)

    def on_trial_end(self, record: TrialRecord, reports: Sequence[StoredReport]) -> None:
        """Do nothing."""


@dataclass(slots=True, kw_only=True)
class ProcessCounter:
    """A callback that collects the pids of training processes at every report."""

    home: Path
    seen: set[int] = field(default_factory=set)

    def on_trial_start(self, record: TrialRecord, config: TrialConfig) -> None:
        """Do nothing."""

    def on_report(self, key: TrialKey, report: StoredReport) -> None:  # noqa: ARG002
        """Count."""
        self.seen.update(trainable_processes(self.home))

    def on_trial_end(self, record: TrialRecord, reports: Sequence[StoredReport]) -> None:
        """Do nothing."""


def test_a_study_on_ray_gives_the_numbers_of_an_inline_one_to_the_last_bit(
    tmp_path: Path, ray_address: str, ray_home: Path
) -> None:
    # Trials at the same time see one another's points in another order than inline.
    changes = {"resources": {"max_concurrent": 1}}
    without = place_of(tmp_path / "inline", **changes)
    with_ray = place_of(tmp_path / "ray", **changes)
    expected = states(inline(without))
    assert set(expected.values()) == {"COMPLETE"}
    recorder, counter = RecordingCallback(), ProcessCounter(home=ray_home)
    coordinator = on_ray(with_ray, ray_address, [recorder, counter])
    assert isinstance(coordinator.ask(), Done)
    assert states(coordinator) == expected
    assert metrics_of(with_ray.folder) == metrics_of(without.folder)
    assert len(recorder.reports) == len(set(recorder.reports)) == 4 * len(expected)
    assert list(with_ray.folder.path.rglob("*.pt")) == []
    # One process trained all of them, so that torch was imported once.
    assert len(counter.seen) == 1


# As inline, where a process is killed by default.
@pytest.mark.extended
def test_a_killed_trial_continues_from_its_checkpoint_bit_for_bit(
    tmp_path: Path, ray_address: str, ray_home: Path
) -> None:
    changes = {"arms": BASE, "epochs": 6}
    whole = place_of(tmp_path / "whole", **changes)
    inline(whole)
    broken = place_of(tmp_path / "broken", **changes)
    # Out of memory, the system sends the one; a fault in a library's own code is the other.
    deaths = (signal.SIGKILL, signal.SIGSEGV)
    killer, recorder = Killer(home=ray_home, epochs={2, 4}, signals=deaths), RecordingCallback()
    coordinator = on_ray(broken, ray_address, [recorder, killer])
    assert len(killer.killed) == 2
    assert states(coordinator) == {"base/final/0": "COMPLETE"}
    assert metrics_of(broken.folder) == metrics_of(whole.folder)
    assert recorder.events == [("began", "base/final/0"), ("COMPLETE", "base/final/0")]
    assert [epoch for _, epoch in recorder.reports] == list(range(7))


@pytest.mark.extended
def test_a_trial_whose_process_dies_too_often_fails_with_the_reason_and_others_continue(
    tmp_path: Path, ray_address: str, ray_home: Path
) -> None:
    short = {"method": "base", "name": "short", "training": {"epochs": 1}}
    place = place_of(
        tmp_path,
        arms=[{"method": "base"}, short],
        epochs=6,
        resources={"max_failures": 1, "max_concurrent": 1},
    )
    killer = Killer(home=ray_home, epochs={2, 3})
    coordinator = on_ray(place, ray_address, [killer])
    assert len(killer.killed) == 2
    assert states(coordinator) == {"base/final/0": "FAIL", "short/final/0": "COMPLETE"}
    failed = next(coordinator.state.records())
    assert failed.reason is not None
    assert failed.reason.startswith("the trial's process failed: ")
    assert "died" in failed.reason
    assert isinstance(coordinator.ask(), Done)
    # A reason fits a line of a table and has no traceback.
    assert "\n" not in failed.reason
    assert len(failed.reason) < 400


@pytest.mark.extended
def test_a_diverging_trial_fails_at_once_with_its_own_reason(
    tmp_path: Path, ray_address: str
) -> None:
    wild = {"optimizer": {"name": "sgd", "lr": 1e3, "weight_decay": 1e3}}
    arms = [{"method": "base", "name": "wild", "training": wild}, {"method": "base"}]
    studies = [place_of(tmp_path / name, arms=arms) for name in ("inline", "ray")]
    coordinators = [inline(studies[0]), on_ray(studies[1], ray_address)]
    for coordinator in coordinators:
        assert states(coordinator) == {"wild/final/0": "FAIL", "base/final/0": "COMPLETE"}
    reasons = [next(coordinator.state.records()).reason for coordinator in coordinators]
    assert reasons[0] == reasons[1]
    assert reasons[0] is not None
    assert reasons[0].startswith(("val/nll is nan at epoch 1 ", "val/nll is inf at epoch 1 "))


def rungs(arms: dict[str, Any]) -> list[tuple[float, list[float]]]:
    """Return each rung of the only arm's ASHA: its epoch and the values that reached it."""
    (asha,) = arms.values()
    (bracket,) = asha._brackets
    return [(milestone, sorted(values.values())) for milestone, values in bracket._rungs]


@pytest.mark.extended
def test_asha_prunes_trials_and_its_rungs_are_restored_from_the_reports(
    tmp_path: Path, ray_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[dict[str, Any]] = []

    def kept(*arguments: Any) -> Any:  # noqa: ANN401 (Tune's)
        made.append(asha_schedulers(*arguments))
        return made[-1]

    monkeypatch.setattr("study.engine.executors.tune_scheduler.asha_schedulers", kept)
    place = place_of(
        tmp_path,
        arms=study_file(sweep=[])["arms"][2:],
        trials=8,
        epochs=4,
        scheduler="asha",
        objective={"metric": "val/nll"},
        resources={"max_concurrent": 2},
    )
    coordinator = on_ray(place, ray_address)
    search = [record for record in coordinator.state.records() if record.key.phase == "search"]
    assert len(search) == 8
    assert {record.state for record in search} == {"COMPLETE", "PRUNED"}
    for record in coordinator.state.records():
        epochs = [report.epoch for report in coordinator.state.reports_of(record.key)]
        assert epochs == list(range(len(epochs)))
        assert (epochs[-1] == 4) == (record.state == "COMPLETE") == (record.value is not None)
    finals = [
        record.state for record in coordinator.state.records() if record.key.phase == "final"
    ]
    assert finals == ["COMPLETE"]
    again = asha_schedulers(place.spec, place.coordinator())
    assert rungs(again) == rungs(made[0])
    assert [len(values) for _, values in rungs(again)][-1] == 8


class Stored:
    """Stored trials and their evaluations, from which a scheduler is restored."""

    def __init__(self, **trials: tuple[str, dict[int, float]]) -> None:
        self._trials = list(trials.values())
        self.state = self

    def records(self) -> Iterator[TrialRecord]:
        for number, (state, _) in enumerate(self._trials):
            yield TrialRecord(
                key=TrialKey(arm="challenger", phase="search", number=number),
                state=state,  # type: ignore[arg-type]
                params={},
                value=None,
                reason=None,
                started_ms=0,
                finished_ms=None,
            )

    def reports_of(self, key: TrialKey) -> tuple[StoredReport, ...]:
        _, values = self._trials[key.number]
        return tuple(
            StoredReport(epoch=epoch, time_ms=0, metrics={"val/accuracy": (value,)})
            for epoch, value in values.items()
        )


@pytest.mark.extended
def test_a_trial_that_continues_is_not_judged_again_by_later_ones(tmp_path: Path) -> None:
    place = place_of(tmp_path, arms=study_file(sweep=[])["arms"][2:], epochs=27, scheduler="asha")
    first = {1: 0.3, 2: 0.4, 3: 0.5, 4: 0.9}
    second = {1: 0.4, 2: 0.5, 3: 0.6}
    third = {1: 0.2}
    stored: Any = Stored(
        first=("RUNNING", first), second=("RUNNING", second), third=("RUNNING", third)
    )
    tune: Any = None
    scheduler = StudyScheduler(asha_schedulers(place.spec, stored), tune)

    def sent_again(number: int, values: dict[int, float]) -> list[str]:
        key = f"challenger/search/{number}"
        trial: Any = SimpleNamespace(config={"key": key}, trial_id=f"tune {number}")
        scheduler.on_trial_add(tune, trial)
        return [
            scheduler.on_trial_result(tune, trial, {"epoch": epoch, "objective": value})
            for epoch, value in values.items()
        ]

    # The others reached the first's rungs after it, and with more.
    assert sent_again(1, second) == ["CONTINUE"] * 3
    assert sent_again(0, first) == ["CONTINUE"] * 4
    # The decision on its last report is still open.
    assert sent_again(2, third) == ["STOP"]
    # A rung that it has yet to reach does judge it.
    assert sent_again(1, {9: 0.95}) == ["CONTINUE"]
    assert sent_again(0, {9: 0.94}) == ["STOP"]


@pytest.mark.slow
def test_a_study_interrupted_inline_ends_on_ray_with_the_same_numbers(
    tmp_path: Path, ray_address: str
) -> None:
    changes = {"resources": {"max_concurrent": 1}}
    whole, broken = (place_of(tmp_path / name, **changes) for name in ("whole", "broken"))
    inline(whole)

    class Stop(RecordingCallback):
        def on_report(self, key: TrialKey, report: StoredReport) -> None:
            super().on_report(key, report)
            if len(self.reports) == 6:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_inline(broken.coordinator([Stop()]), broken.context)
    assert "RUNNING" in states(broken.state()).values()
    coordinator = on_ray(broken, ray_address)
    assert states(coordinator) == states(whole.coordinator())
    assert metrics_of(broken.folder) == metrics_of(whole.folder)


@pytest.mark.extended
def test_nothing_of_database_or_coordinator_is_in_ray_s_own_files(
    tmp_path: Path, ray_address: str
) -> None:
    place = place_of(tmp_path, arms=BASE, epochs=1)
    on_ray(place, ray_address)
    files = [path for path in place.folder.ray.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert b"optuna.db" not in path.read_bytes(), path


# The quick trial must not take as long as the limit, even on a busy machine.
@pytest.mark.slow
def test_a_trial_that_hangs_fails_with_the_place_and_the_others_finish(
    tmp_path: Path, ray_address: str
) -> None:
    place = place_of(
        tmp_path,
        arms=[{"method": "base", "name": name} for name in ("hanging", "quick")],
        epochs=1,
        resources={"timeout_s": 30.0, "max_concurrent": 2},
    )
    coordinator = place.coordinator()
    # A pipe without a writer in place of a checkpoint: opening it never returns.
    key = TrialKey(arm="hanging", phase="final", number=0)
    os.mkfifo(place.folder.make_trial(key) / "epoch-00000000-0.pt")
    run_on_ray(coordinator, replace(place.context, address=ray_address))
    found = {str(record.key): record for record in coordinator.state.records()}
    assert found["quick/final/0"].state == "COMPLETE"
    failed = found["hanging/final/0"]
    assert failed.state == "FAIL"
    assert failed.reason is not None
    start = "a trial must end within resources.timeout_s = 30 s of training, but it hung in "
    assert failed.reason.startswith(start)
    assert "at epoch 0 of 1; parameters: {'name': 'base'}" in failed.reason
