"""Folders that are full, read-only or gone, on real file systems that are."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.trainables.builders import trial
from trainables import checkpoint
from trainables.attempts import append_attempt, read_attempts
from trainables.errors import StorageError
from trainables.trial import TrialPlace, run_trial


def mounted(*arguments: object) -> None:
    done = subprocess.run(
        ["mount", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"needs the right to mount: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of one MiB."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted("-t", "tmpfs", "-o", "size=1m", "none", path)
    yield path
    subprocess.run(["umount", path], check=True)


def payload(epoch: int, size: int = 10) -> dict[str, object]:
    return {"epoch": epoch, "weights": torch.arange(float(size))}


def message(folder: Path, reason: str) -> str:
    return (
        f"{folder} must be writable on {socket.gethostname()}, but: {reason}; free some space "
        "there, or mount the study's storage."
    )


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"0" * 4096):
            pass


def read_only(disk: Path) -> None:
    mounted("-o", "remount,ro", disk)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(fill, "No space left on device"), (read_only, "Read-only file system")],
)
def test_a_disk_that_takes_nothing_is_said_and_keeps_what_it_has(
    disk: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    checkpoint.save(disk, 1, payload(1))
    append_attempt(disk, 0)
    spoil(disk)
    with pytest.raises(StorageError) as failed:
        checkpoint.save(disk, 2, payload(2, size=10_000))
    assert str(failed.value) == message(disk, reason)
    assert checkpoint.load_newest(disk)["epoch"] == 1
    assert len(read_attempts(disk)) == 1
    assert not list(disk.glob(".*"))


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


def test_a_trial_whose_disk_fills_up_continues_when_there_is_room(disk: Path, folders) -> None:
    config = trial("random")
    place = TrialPlace(folder=disk / "trial", data=folders, device=torch.device("cpu"))
    whole = replace(place, folder=disk.with_name("whole"))
    for each in (place, whole):
        each.folder.mkdir()
    expected = list(run_trial(config, whole))
    reports = run_trial(config, place)
    assert [next(reports), next(reports)] == expected[:2]
    fill(disk)
    with pytest.raises(StorageError, match="No space left on device"):
        next(reports)
    (disk / "filler").unlink()
    mounted("-o", "remount,size=50m", disk)
    assert list(run_trial(config, place)) == expected


def test_an_attempt_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    append_attempt(tmp_path, 0)
    whole = (tmp_path / "attempts.jsonl").read_bytes()
    append_attempt(tmp_path, 3)
    (tmp_path / "attempts.jsonl").write_bytes(whole + b'{"from_ep')
    append_attempt(tmp_path, 5)
    assert [attempt.from_epoch for attempt in read_attempts(tmp_path)] == [0, 5]
    assert {attempt.process for attempt in read_attempts(tmp_path)} == {os.getpid()}
