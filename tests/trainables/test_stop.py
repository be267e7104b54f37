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
from trainables.attempts import read_attempts
from trainables.errors import StoppedError, TimeLimitError
from trainables.loop import run_epoch
from trainables.report import Report
from trainables.time_limit import FILE_NAME, where_it_hung
from trainables.trial import TrialPlace, run_trial
from trainables.watch import unwatched


@pytest.fixture
def place(tmp_path, folders, monkeypatch) -> TrialPlace:
    # However often a trial asks, it looks.
    monkeypatch.setattr("trainables.watch._PAUSE_S", 0.0)
    folder = tmp_path / "trial"
    folder.mkdir()
    return TrialPlace(
        folder=folder, data=folders, device=torch.device("cpu"), stop_file=tmp_path / "stop"
    )


def rare(method: str = "challenger"):
    """Give a trial that writes no checkpoint of its own accord."""
    config = trial(method)
    return replace(config, training=replace(config.training, checkpoint_every_s=1e6))


def stopped_at(monkeypatch, place: TrialPlace, when: Callable[[int], bool]) -> list[int]:
    """Ask for a stop at a step of the process; gives the epochs that are trained wholly."""
    steps, whole = [], []
    original = torch.nn.functional.cross_entropy

    def counted(logits, targets, **options: str) -> torch.Tensor:
        steps.append(None)
        if when(len(steps)):
            place.stop_file.touch()
        return original(logits, targets, **options)

    def noted(config, data, state, check=unwatched) -> None:
        run_epoch(config, data, state, check)
        whole.append(state.epoch)

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", counted)
    monkeypatch.setattr("trainables.loop.run_epoch", noted)
    return whole


def stop(config, place: TrialPlace) -> list[Report]:
    """Train until the stop."""
    seen: list[Report] = []
    with pytest.raises(StoppedError):
        seen.extend(run_trial(config, place))
    return seen


@pytest.mark.parametrize("long_epoch_s", [0.0, 1e6])
@pytest.mark.parametrize("step", [1, 4, 8, 11, 14, 17])
def test_a_trial_that_was_stopped_at_any_step_continues_bit_for_bit(
    place, monkeypatch, step: int, long_epoch_s: float
) -> None:
    """Where epochs are long it goes back to the last one's end, else on to this one's."""
    config = rare()
    other = replace(place, folder=place.folder.with_name("whole"), stop_file=None)
    other.folder.mkdir()
    expected = list(run_trial(config, other))
    monkeypatch.setattr(trial_module, "_LONG_EPOCH_S", long_epoch_s)
    with monkeypatch.context() as patch:
        whole = stopped_at(patch, place, lambda count: count == step)
        stop(config, place)
    place.stop_file.unlink()
    stored = checkpoint.load_newest(place.folder)
    saved = 0 if stored is None else stored["replicas"][0]["epoch"]
    # Two replicas, trained in lock-step.
    ended = len(whole) // 2
    assert saved == ended
    # In the first epoch there is nothing to lose by going back, however long it is.
    assert len(whole) % 2 == 0 or long_epoch_s == 0.0 or not saved
    assert list(run_trial(config, place)) == expected
    assert [a.from_epoch for a in read_attempts(place.folder)] == [0, saved]


def test_a_stop_that_was_asked_for_before_comes_at_once(place) -> None:
    place.stop_file.touch()
    assert [report.epoch for report in stop(rare(), place)] == []


def test_a_base_model_that_is_being_trained_stops_too(place) -> None:
    from trainables.config import FromBase

    config = trial("base_finetune", training=replace(rare().training, start_from=FromBase()))
    place.stop_file.touch()
    assert stop(config, place) == []
    place.stop_file.unlink()
    assert len(list(run_trial(config, place))) == 4


def test_a_stop_in_the_last_of_short_epochs_does_not_keep_a_trial_from_its_end(place) -> None:
    epochs = []
    for report in run_trial(rare(), place):
        epochs.append(report.epoch)
        if report.epoch == 4:
            place.stop_file.touch()
    assert epochs == [0, 2, 4, 5]


def test_a_trial_that_takes_too_long_fails_with_epoch_limit_and_parameters(place) -> None:
    limited = replace(place, timeout_s=1e-9)
    with pytest.raises(TimeLimitError) as failed:
        list(run_trial(trial("challenger"), limited))
    text = str(failed.value)
    start = "a trial must end within resources.timeout_s = 1e-09 s of training, but it has trained"
    assert text.startswith(start)
    assert "at epoch 0 of 5; parameters: {'name': 'challenger'" in text
    assert text.endswith("; raise the limit, or train for fewer epochs.")


def test_what_earlier_attempts_trained_counts(place) -> None:
    config = trial()
    reports = run_trial(config, place)
    while next(reports).epoch < 4:
        pass
    reports.close()
    stored = checkpoint.load_newest(place.folder)
    assert stored["trained_s"] > 0
    epoch = stored["replicas"][0]["epoch"]
    for file in place.folder.glob("epoch-*.pt"):
        file.unlink()
    checkpoint.save(place.folder, epoch, {**stored, "trained_s": 1000.0})
    with pytest.raises(TimeLimitError, match=rf"has trained for 10\d\d s, at epoch {epoch} of 5"):
        list(run_trial(config, replace(place, timeout_s=999.0)))
    # A checkpoint of the first version has no time in it.
    for file in place.folder.glob("epoch-*.pt"):
        file.unlink()
    del stored["trained_s"]
    checkpoint.save(place.folder, epoch, stored)
    assert len(list(run_trial(config, replace(place, timeout_s=999.0)))) == 4


_HANGS = """
import sys
from pathlib import Path
import trainables.time_limit as limit
from tests.trainables.test_stop import hang
limit._GRACE_S = limit._GRACE_SHARE = 0.0
timer = limit.HangTimer()
timer.take(Path(sys.argv[1]), 0.5)
hang()
"""


def hang() -> None:
    """Wait for ever where no signal and no thread of Python's gets through."""
    import threading

    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def test_a_process_that_hangs_is_ended_and_the_next_attempt_says_where(place) -> None:
    command = [sys.executable, "-c", _HANGS, str(place.folder)]
    done = subprocess.run(command, timeout=120, check=False)
    assert done.returncode == 1
    assert (place.folder / FILE_NAME).read_text()
    assert where_it_hung(place.folder).startswith("in hang (test_stop.py, line ")
    with pytest.raises(
        TimeLimitError, match=r"but it hung in hang \(test_stop.py, line \d+\), at"
    ):
        list(run_trial(trial(), replace(place, timeout_s=5.0)))
    # Without a limit nothing hangs for too long.
    assert len(list(run_trial(trial(), place))) == 4


def test_a_trial_that_ends_in_time_leaves_no_trace_of_its_timer(tmp_path: Path) -> None:
    from trainables.time_limit import HangTimer

    timer = HangTimer()
    timer.take(tmp_path, 1000.0)
    assert where_it_hung(tmp_path) is None
    timer.leave()
    assert list(tmp_path.iterdir()) == []
