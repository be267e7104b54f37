"""Tune's callback: slots, failures and the end of a stopped run; reasons in Ray's error files."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial

from study.engine.executors import tune_callbacks
from study.engine.executors.tune_callbacks import RunStoppedError, StudyCallback, last_failure
from study.storage.layout import TrialKey

KEY = TrialKey(arm="base", phase="final", number=3)


@dataclass(slots=True, kw_only=True)
class FakeRun:
    """Coordinator and quota in one, with a record of their calls."""

    is_stopping: bool = False
    calls: list[tuple[object, ...]] = field(default_factory=list)

    def update(self) -> None:
        self.calls.append(("update",))

    def slot_acquired(self, trial: str) -> None:
        self.calls.append(("acquired", trial))

    def slot_released(self, trial: str) -> None:
        self.calls.append(("released", trial))

    def tell_failure(self, key: TrialKey, reason: str) -> None:
        self.calls.append(("failed", key, reason))


def callback_of(run: FakeRun) -> StudyCallback:
    fake: Any = run
    return StudyCallback(fake, fake)


def trial(folder: Path, status: str = Trial.RUNNING) -> Any:  # noqa: ANN401 (a fake of Tune's)
    file = folder / "error.txt"
    file.write_text("Failure # 1 (at noon)\nTraceback\nValueError: no\n")
    return SimpleNamespace(
        trial_id="a", config={"key": str(KEY)}, error_file=str(file), status=status
    )


def test_slots_are_acquired_and_released_and_only_final_failures_end_a_trial(
    tmp_path: Path,
) -> None:
    run, one = FakeRun(), trial(tmp_path)
    callback = callback_of(run)
    callback.on_trial_start(trial=one)
    callback.on_trial_recover(trial=one)
    callback.on_trial_start(trial=one)
    callback.on_trial_complete(trial=one)
    callback.on_trial_error(trial=one)
    run.is_stopping = True
    callback.on_trial_error(trial=one)
    acquired, released = ("acquired", "a"), ("released", "a")
    failed = ("failed", KEY, "the trial's process failed: ValueError: no")
    assert run.calls == [acquired, released, acquired, released, released, failed, released]


def test_a_stopped_run_ends_once_no_trial_runs_or_its_time_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = FakeRun()
    callback, running, pending = (
        callback_of(run),
        trial(tmp_path),
        trial(tmp_path, Trial.PENDING),
    )
    callback.on_step_end(0, [pending])
    run.is_stopping = True
    callback.on_step_end(1, [running, pending])
    with pytest.raises(RunStoppedError):
        callback.on_step_end(2, [pending])
    monkeypatch.setattr(tune_callbacks, "_CHECKPOINT_TIMEOUT_S", -1.0)
    with pytest.raises(RunStoppedError):
        callback.on_step_end(3, [running])
    assert run.calls == [("update",)] * 4


def test_nothing_of_a_callback_is_pickled() -> None:
    assert pickle.loads(pickle.dumps(callback_of(FakeRun()))).__dict__ == {}


CREATION = (
    "Failure # 1 (occurred at noon)\nThe actor died because of an error raised in its creation "
    'task, \x1b[36mray::Trainable.__init__()\x1b[39m (pid=7)\n  File "loop.py", line 3\n'
    "ImportError: no module of that name\n"
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Ray gives no reason."),
        ("Failure # 1 (at noon)\nTraceback\n  File\nValueError: no\n", "ValueError: no"),
        (CREATION, "ImportError: no module of that name"),
        (
            "Failure # 1 (at noon)\nTraceback\nOSError\nFailure # 2 (at one)\n"
            "The actor died.\nIts process was killed.\n",
            "The actor died. Its process was killed.",
        ),
    ],
)
def test_the_reason_of_the_last_failure_is_found(text: str, reason: str) -> None:
    assert last_failure(text) == reason
