"""A study whose disk fails is paused with one message, and goes on when the disk is mended."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from study.cli import main
from tests.study.fault_tolerance.consistency import assert_as_if_nothing_had_been
from tests.study.fault_tolerance.shell import PATIENCE_S, Shell
from tests.support.disk import Disk, mount


@dataclass(frozen=True, slots=True, kw_only=True)
class Plug:
    """A folder that appears elsewhere, as storage in a network does, and can be unplugged."""

    real: Path
    shown: Path

    def connect(self) -> None:
        """Let it appear."""
        mount("--bind", self.real, self.shown)

    def disconnect(self) -> None:
        """Let it vanish, although its files are in use."""
        subprocess.run(["umount", "--lazy", self.shown], check=True)


def paused(shell: Shell, spoil: Callable[[], None]) -> str:
    """Run a study until it pauses over a disk; gives what it said last."""
    process = shell.start("run", "tiny.yaml")
    shell.until_reports(process, 10)
    spoil()
    assert process.wait(PATIENCE_S) == 2
    text = shell.log.read_text(encoding="utf-8")
    assert "Traceback" not in text
    return text.splitlines()[-1]


def test_a_disk_that_fills_up_pauses_the_study_and_nothing_is_lost(
    shell: Callable[[str], Shell], uninterrupted: dict[str, Any], disk: Disk
) -> None:
    mount("-o", "remount,size=200m", disk.path)
    inline = shell("inline")
    inline.storage = disk.path / "studies"
    said = paused(inline, disk.fill)
    assert said.startswith("Error: ")
    assert "No space left on device" in said or "disk is full" in said
    assert said.endswith(" The study is paused and nothing is lost: the same command goes on.")
    disk.repair()
    assert inline.finish("run", "tiny.yaml") == 0
    assert_as_if_nothing_had_been(inline, uninterrupted)


@pytest.mark.slow
def test_storage_that_is_unplugged_pauses_the_study_and_is_not_written_below(
    shell: Callable[[str], Shell], uninterrupted: dict[str, Any], tmp_path: Path
) -> None:
    plug = Plug(real=tmp_path / "real", shown=tmp_path / "shown")
    for folder in (plug.real, plug.shown):
        folder.mkdir()
    plug.connect()
    inline = shell("inline")
    inline.storage = plug.shown
    try:
        said = paused(inline, plug.disconnect)
    finally:
        if any(plug.shown.iterdir()):
            plug.disconnect()
    assert said.startswith("Error: ")
    assert said.endswith(" The study is paused and nothing is lost: the same command goes on.")
    assert list(plug.shown.iterdir()) == []
    plug.connect()
    try:
        assert inline.finish("run", "tiny.yaml") == 0
        assert_as_if_nothing_had_been(inline, uninterrupted)
    finally:
        plug.disconnect()


@pytest.mark.slow
def test_a_database_that_is_moved_pauses_the_study_and_is_missed_until_it_is_back(
    shell: Callable[[str], Shell], uninterrupted: dict[str, Any], tmp_path: Path
) -> None:
    inline = shell("inline")
    database, elsewhere = inline.root / "optuna.db", tmp_path / "elsewhere"
    said = paused(inline, lambda: database.replace(elsewhere))
    assert said == (
        f"Error: the Optuna database {database} must stay in its place while its study runs, "
        "but was deleted or replaced; put it back. The study is paused and nothing is lost: the "
        "same command goes on."
    )
    # No new and empty one is made in its place.
    assert inline.finish("run", "tiny.yaml") == 2
    assert inline.last_line() == (
        f"Error: there is no Optuna database {database}; name the one that the study was run "
        "with, by --database or CHALLENGER_DATABASE."
    )
    assert not database.exists()
    elsewhere.replace(database)
    assert inline.finish("run", "tiny.yaml") == 0
    assert_as_if_nothing_had_been(inline, uninterrupted)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (Disk.make_read_only, "must be a folder that can be written, but: Read-only file system"),
        (lambda _: None, "must have at least 64 MiB free for checkpoints and results, but has 2"),
    ],
)
def test_a_disk_that_cannot_hold_a_study_is_found_before_the_start(
    disk: Disk, tmp_path: Path, capsys, spoil: Callable[[Disk], None], reason: str
) -> None:
    from tests.support.simulated import study_text

    (tmp_path / "tiny.yaml").write_text(study_text())
    spoil(disk)
    arguments = ["run", str(tmp_path / "tiny.yaml"), "--executor", "inline", "--storage"]
    assert main.run([*arguments, str(disk.path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"Error: {disk.path} {reason}")
    assert list(disk.path.iterdir()) == []
