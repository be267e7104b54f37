from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import NoReturn

import pytest
import torch

from trainables import checkpoint
from trainables.errors import CheckpointError, StorageError


def payload(epoch: int) -> dict[str, object]:
    return {
        "epoch": epoch,
        "weights": {"w": torch.full((5,), float(epoch))},
        "reports": [(1, {"val/accuracy": (0.5, 0.25)})],
        "hash": "abc",
    }


def loaded_epoch(folder: Path) -> int | None:
    found = checkpoint.load_latest(folder)
    return None if found is None else found["epoch"]


def test_what_was_saved_is_loaded(tmp_path):
    path = checkpoint.save(tmp_path, 3, payload(3))
    found = checkpoint.load_latest(path.parent)
    assert found["reports"] == [(1, {"val/accuracy": (0.5, 0.25)})]
    assert found["hash"] == "abc"
    assert torch.equal(found["weights"]["w"], torch.full((5,), 3.0))


def test_a_file_is_named_by_its_epoch_and_checksum(tmp_path):
    path = checkpoint.save(tmp_path, 12, payload(12))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    assert path.name == f"epoch-00000012-{digest}.pt"


def test_an_empty_or_missing_folder_has_none(tmp_path):
    assert checkpoint.load_latest(tmp_path) is None
    assert checkpoint.load_latest(tmp_path / "missing") is None


def test_the_newest_two_are_kept_and_nothing_else(tmp_path):
    paths = [checkpoint.save(tmp_path, epoch, payload(epoch)) for epoch in (8, 9, 10, 11)]
    assert sorted(tmp_path.iterdir()) == paths[2:]
    assert loaded_epoch(tmp_path) == 11


@pytest.mark.parametrize("how", ["truncated", "altered", "emptied"])
def test_a_damaged_one_is_passed_over_for_the_one_before(tmp_path, how, caplog):
    checkpoint.save(tmp_path, 1, payload(1))
    path = checkpoint.save(tmp_path, 2, payload(2))
    content = bytearray(path.read_bytes())
    if how == "altered":
        content[len(content) // 2] ^= 1
    path.write_bytes({"truncated": content[:-1], "altered": content, "emptied": b""}[how])
    with caplog.at_level(logging.WARNING):
        assert loaded_epoch(tmp_path) == 1
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    assert caplog.messages == [f"{path} is damaged (sha256 {digest}); the one before it is used."]


def test_there_is_none_if_all_are_damaged(tmp_path):
    for epoch in (1, 2):
        checkpoint.save(tmp_path, epoch, payload(epoch)).write_bytes(b"")
    assert loaded_epoch(tmp_path) is None


def test_damaged_newer_ones_do_not_crowd_out_what_is_saved_after_them(tmp_path):
    for epoch in (8, 9):
        checkpoint.save(tmp_path, epoch, payload(epoch)).write_bytes(b"damaged")
    path = checkpoint.save(tmp_path, 1, payload(1))
    assert path.exists()
    assert loaded_epoch(tmp_path) == 1
    newer = checkpoint.save(tmp_path, 2, payload(2))
    assert loaded_epoch(tmp_path) == 2
    newer.write_bytes(b"damaged")
    assert loaded_epoch(tmp_path) == 1


def test_an_unfinished_file_is_no_checkpoint(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, 1, payload(1))

    def fail(_descriptor) -> NoReturn:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="disk full"):
        checkpoint.save(tmp_path, 2, payload(2))
    assert loaded_epoch(tmp_path) == 1


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.trace),)


def test_code_in_a_checkpoint_never_runs_even_under_a_matching_checksum(tmp_path):
    trace = tmp_path / "trace"
    path = checkpoint.save(tmp_path, 1, {"epoch": 1, "trap": Malicious(trace)})
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load_latest(path.parent)
    said = str(caught.value)
    assert said.startswith(
        f"{path} holds more than tensors and plain data, which is never loaded: "
    )
    assert said.endswith(" It is no checkpoint of this program; move it away.")
    assert len(said.splitlines()) == 1
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists()  # so the trap does work where code is allowed to run
