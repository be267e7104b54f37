"""A study whose disk fails pauses with one message, and continues on the repaired disk."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from study.cli import main
from tests.study.fault_tolerance.consistency import assert_equals_uninterrupted
from tests.study.fault_tolerance.shell import TIMEOUT_S, Shell
from tests.support.disk import Disk, mount


@dataclass(frozen=True, slots=True, kw_only=True)
class MountedFolder:
    """A folder mounted elsewhere, like storage in a network, that can be unmounted."""

    real: Path
    shown: Path

    def connect(self) -> None:
        """Mount it."""
        mount("--bind", self.real, self.shown)

    def disconnect(self) -> None:
        """Unmount it, although its files are in use."""
        subprocess.run(["umount", "--lazy", self.shown], check=True)


def paused(shell: Shell, damage: Callable[[], None]) -> str:
    """Run a study until its disk fails and it pauses; return its last line."""
    process = shell.start("run", "tiny.yaml")
    shell.until_reports(process, 10)
    damage()
    assert process.wait(TIMEOUT_S) == 2
    text = shell.log.read_text(encoding="utf-8")
    assert "Traceback" not in text
    return text.splitlines()[-1]


@pytest.mark.extended
def test_a_disk_that_fills_up_pauses_the_study_and_nothing_is_lost(
    shell: Callable[[str], Shell], uninterrupted: dict[str, Any], disk: Disk
) -> None:
    mount("-o", "remount,size=200m", disk.path)
    inline = shell("inline")
    inline.storage = disk.path / "studies"
    last = paused(inline, disk.fill)
    assert last.startswith("Error: ")
    assert "No space left on device" in last or "disk is full" in last
    assert last.endswith(" The study is paused and nothing is lost: the same command goes on.")
    disk.repair()
    assert inline.finish("run", "tiny.yaml") == 0
    assert_equals_uninterrupted(inline, uninterrupted)


@pytest.mark.slow
def test_unmounted_storage_pauses_the_study_and_is_not_written_below(
    shell: Callable[[str], Shell], uninterrupted: dict[str, Any], tmp_path: Path
) -> None:
    mounted = MountedFolder(real=tmp_path / "real", shown=tmp_path / "shown")
    for folder in (mounted.real, mounted.shown):
        folder.mkdir()
    mounted.connect()
    inline = shell("inline")
    inline.storage = mounted.shown
    try:
        last = paused(inline, mounted.disconnect)
    finally:
        if any(mounted.shown.iterdir()):
            mounted.disconnect()
    assert last.startswith("Error: ")
    assert last.endswith(" The study is paused and nothing is lost: the same command goes on.")
    assert list(mounted.shown.iterdir()) == []
    mounted.connect()
    try:
        assert inline.finish("run", "tiny.yaml") == 0
        assert_equals_uninterrupted(inline, uninterrupted)
    finally:
        mounted.disconnect()


@pytest.mark.slow
def test_a_moved_database_pauses_the_study_until_it_is_back(
    shell: Callable[[str], Shell], uninterrupted: dict[str, Any], tmp_path: Path
) -> None:
    inline = shell("inline")
    database, elsewhere = inline.root / "optuna.db", tmp_path / "elsewhere"
    last = paused(inline, lambda: database.replace(elsewhere))
    assert last == (
        f"Error: the Optuna database {database} must stay in its place while its study runs, "
        "but was deleted or replaced; put it back. The study is paused and nothing is lost: the "
        "same command goes on."
    )
    # No new and empty one is created.
    assert inline.finish("run", "tiny.yaml") == 2
    assert inline.last_line() == (
        f"Error: there is no Optuna database {database}; name the one that the study was run "
        "with, by --database or CHALLENGER_DATABASE."
    )
    assert not database.exists()
    elsewhere.replace(database)
    assert inline.finish("run", "tiny.yaml") == 0
    assert_equals_uninterrupted(inline, uninterrupted)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (Disk.make_read_only, "must be a folder that can be written, but: Read-only file system"),
        (lambda _: None, "must have at least 64 MiB free for checkpoints and results, but has 2"),
    ],
)
def test_a_disk_that_cannot_hold_a_study_is_found_before_the_start(
    disk: Disk, tmp_path: Path, capsys, damage: Callable[[Disk], None], reason: str
) -> None:
    from tests.support.simulated import study_text

    (tmp_path / "tiny.yaml").write_text(study_text())
    damage(disk)
    arguments = ["run", str(tmp_path / "tiny.yaml"), "--executor", "inline", "--storage"]
    assert main.run([*arguments, str(disk.path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"Error: {disk.path} {reason}")
    assert list(disk.path.iterdir()) == []
