"""A trial that is asked to stop, that takes too long, or whose folder takes nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.trainables.builders import trial
from trainables import checkpoint
from trainables import trial as trial_module
from trainables.errors import StoppedError, TimeLimitError
from trainables.loop import run_epoch
from trainables.report import Report
from trainables.runtime.attempts import read_attempts
from trainables.runtime.stop_monitor import no_step_callback
from trainables.runtime.time_limit import FILE_NAME, hang_location
from trainables.trial import TrialContext, run_trial


@pytest.fixture
def context(tmp_path, folders, monkeypatch) -> TrialContext:
    # However often a trial asks, it looks.
    monkeypatch.setattr("trainables.runtime.stop_monitor._POLL_INTERVAL_S", 0.0)
    folder = tmp_path / "trial"
    folder.mkdir()
    return TrialContext(
        folder=folder, data=folders, device=torch.device("cpu"), stop_file=tmp_path / "stop"
    )


def rare(method: str = "challenger"):
    """Return a trial that writes no checkpoint of its own accord."""
    config = trial(method)
    return replace(config, training=replace(config.training, checkpoint_every_s=1e6))


def stopped_at(monkeypatch, context: TrialContext, when: Callable[[int], bool]) -> list[int]:
    """Ask for a stop at a step of the process; gives the epochs that are trained wholly."""
    steps, whole = [], []
    original = torch.nn.functional.cross_entropy

    def counted(logits, targets, **options: str) -> torch.Tensor:
        steps.append(None)
        if when(len(steps)):
            context.stop_file.touch()
        return original(logits, targets, **options)

    def noted(config, data, state, check=no_step_callback) -> None:
        run_epoch(config, data, state, check)
        whole.append(state.epoch)

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", counted)
    monkeypatch.setattr("trainables.loop.run_epoch", noted)
    return whole


def stop(config, context: TrialContext) -> list[Report]:
    """Train until the stop."""
    seen: list[Report] = []
    with pytest.raises(StoppedError):
        seen.extend(run_trial(config, context))
    return seen


@pytest.mark.parametrize("long_epoch_s", [0.0, 1e6])
@pytest.mark.parametrize("step", [1, 4, 8, 11, 14, 17])
def test_a_trial_that_was_stopped_at_any_step_continues_bit_for_bit(
    context, monkeypatch, step: int, long_epoch_s: float
) -> None:
    """Where epochs are long it goes back to the last one's end, else on to this one's."""
    config = rare()
    other = replace(context, folder=context.folder.with_name("whole"), stop_file=None)
    other.folder.mkdir()
    expected = list(run_trial(config, other))
    monkeypatch.setattr(trial_module, "_LONG_EPOCH_S", long_epoch_s)
    with monkeypatch.context() as patch:
        whole = stopped_at(patch, context, lambda count: count == step)
        stop(config, context)
    context.stop_file.unlink()
    stored = checkpoint.load_latest(context.folder)
    saved = 0 if stored is None else stored["replicas"][0]["epoch"]
    # Two replicas, trained in lock-step.
    ended = len(whole) // 2
    assert saved == ended
    # In the first epoch there is nothing to lose by going back, however long it is.
    assert len(whole) % 2 == 0 or long_epoch_s == 0.0 or not saved
    assert list(run_trial(config, context)) == expected
    assert [a.from_epoch for a in read_attempts(context.folder)] == [0, saved]


def test_a_stop_that_was_asked_for_before_comes_at_once(context) -> None:
    context.stop_file.touch()
    assert [report.epoch for report in stop(rare(), context)] == []


def test_a_base_model_that_is_being_trained_stops_too(context) -> None:
    from trainables.config import FromBase

    config = trial("base_finetune", training=replace(rare().training, start_from=FromBase()))
    context.stop_file.touch()
    assert stop(config, context) == []
    context.stop_file.unlink()
    assert len(list(run_trial(config, context))) == 4


def test_a_stop_in_the_last_of_short_epochs_does_not_keep_a_trial_from_its_end(
    context, monkeypatch
) -> None:
    monkeypatch.setattr(trial_module, "_LONG_EPOCH_S", 1e6)
    epochs = []
    for report in run_trial(rare(), context):
        epochs.append(report.epoch)
        if report.epoch == 4:
            context.stop_file.touch()
    assert epochs == [0, 2, 4, 5]


def test_a_trial_that_takes_too_long_fails_with_epoch_limit_and_parameters(context) -> None:
    limited = replace(context, timeout_s=1e-9)
    with pytest.raises(TimeLimitError) as failed:
        list(run_trial(trial("challenger"), limited))
    text = str(failed.value)
    start = "a trial must end within resources.timeout_s = 1e-09 s of training, but it has trained"
    assert text.startswith(start)
    assert "at epoch 0 of 5; parameters: {'name': 'challenger'" in text
    assert text.endswith("; raise the limit, or train for fewer epochs.")


def test_what_earlier_attempts_trained_counts(context) -> None:
    config = trial()
    reports = run_trial(config, context)
    while next(reports).epoch < 4:
        pass
    reports.close()
    stored = checkpoint.load_latest(context.folder)
    assert stored["trained_s"] > 0
    epoch = stored["replicas"][0]["epoch"]
    for file in context.folder.glob("epoch-*.pt"):
        file.unlink()
    checkpoint.save(context.folder, epoch, {**stored, "trained_s": 1000.0})
    with pytest.raises(TimeLimitError, match=rf"has trained for 10\d\d s, at epoch {epoch} of 5"):
        list(run_trial(config, replace(context, timeout_s=999.0)))


_HANGS = """
import sys
from pathlib import Path
import trainables.runtime.time_limit as limit
from tests.trainables.runtime.test_stop_monitor import hang
limit._GRACE_S = limit._GRACE_FRACTION = 0.0
timer = limit.HangWatchdog()
timer.arm(Path(sys.argv[1]), 0.5)
hang()
"""


def hang() -> None:
    """Wait for ever where no signal and no thread of Python's gets through."""
    import threading

    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def test_a_process_that_hangs_is_ended_and_the_next_attempt_says_where(context) -> None:
    command = [sys.executable, "-c", _HANGS, str(context.folder)]
    done = subprocess.run(command, timeout=120, check=False)
    assert done.returncode == 1
    assert (context.folder / FILE_NAME).read_text()
    assert hang_location(context.folder).startswith("in hang (test_stop_monitor.py, line ")
    with pytest.raises(
        TimeLimitError, match=r"but it hung in hang \(test_stop_monitor.py, line \d+\), at"
    ):
        list(run_trial(trial(), replace(context, timeout_s=5.0)))
    # Without a limit nothing hangs for too long.
    assert len(list(run_trial(trial(), context))) == 4


def test_a_trial_that_ends_in_time_leaves_no_trace_of_its_timer(tmp_path: Path) -> None:
    from trainables.runtime.time_limit import HangWatchdog

    watchdog = HangWatchdog()
    watchdog.arm(tmp_path, 1000.0)
    assert hang_location(tmp_path) is None
    watchdog.disarm()
    assert list(tmp_path.iterdir()) == []
