"""Folders that are full, read-only or gone, on real file systems that are."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.support.disk import Disk
from tests.trainables.builders import trial
from trainables import checkpoint
from trainables.errors import StorageError
from trainables.runtime.attempts import append_attempt, read_attempts
from trainables.trial import TrialContext, run_trial


def payload(epoch: int, size: int = 10) -> dict[str, object]:
    return {"epoch": epoch, "weights": torch.arange(float(size))}


def message(folder: Path, reason: str) -> str:
    return (
        f"{folder} must be writable on {socket.gethostname()}, but: {reason}; free some space "
        "there, or mount the study's storage."
    )


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(Disk.fill, "No space left on device"), (Disk.make_read_only, "Read-only file system")],
)
def test_a_disk_that_takes_nothing_is_said_and_keeps_what_it_has(
    disk: Disk, spoil: Callable[[Disk], None], reason: str
) -> None:
    checkpoint.save(disk.path, 1, payload(1))
    append_attempt(disk.path, 0)
    spoil(disk)
    with pytest.raises(StorageError) as failed:
        checkpoint.save(disk.path, 2, payload(2, size=10_000))
    assert str(failed.value) == message(disk.path, reason)
    assert checkpoint.load_latest(disk.path)["epoch"] == 1
    assert len(read_attempts(disk.path)) == 1
    assert not list(disk.path.glob(".*"))


def test_a_missing_folder_is_not_made_anew_where_storage_should_be_mounted(tmp_path: Path) -> None:
    folder = tmp_path / "gone" / "trial"
    for write in (
        lambda: checkpoint.save(folder, 1, payload(1)),
        lambda: append_attempt(folder, 0),
    ):
        with pytest.raises(StorageError) as failed:
            write()
        assert str(failed.value) == message(folder, "No such file or directory")
    assert list(tmp_path.iterdir()) == []


def test_a_trial_whose_disk_fills_up_continues_when_there_is_room(disk: Disk, folders) -> None:
    config = trial("random")
    context = TrialContext(folder=disk.path / "trial", data=folders, device=torch.device("cpu"))
    whole = replace(context, folder=disk.path.with_name("whole"))
    for each in (context, whole):
        each.folder.mkdir()
    expected = list(run_trial(config, whole))
    reports = run_trial(config, context)
    assert [next(reports), next(reports)] == expected[:2]
    disk.fill()
    with pytest.raises(StorageError, match="No space left on device"):
        next(reports)
    disk.repair()
    assert list(run_trial(config, context)) == expected


def test_an_attempt_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    append_attempt(tmp_path, 0)
    whole = (tmp_path / "attempts.jsonl").read_bytes()
    append_attempt(tmp_path, 3)
    (tmp_path / "attempts.jsonl").write_bytes(whole + b'{"from_ep')
    append_attempt(tmp_path, 5)
    assert [attempt.from_epoch for attempt in read_attempts(tmp_path)] == [0, 5]
    assert {attempt.pid for attempt in read_attempts(tmp_path)} == {os.getpid()}
