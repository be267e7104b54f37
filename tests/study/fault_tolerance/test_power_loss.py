"""A loss of power at any moment of a run: what was not synced is gone, and the study goes on."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from study.cli.main import run
from study.engine.coordinator import TrialCoordinator
from study.engine.executors import EXECUTORS
from study.engine.protocol import ExecutionContext
from tests.study.fault_tolerance.test_damage_matrix import (
    COMMANDS,
    STUDY,
    NoSync,
    publish_nothing,
    results,
    simulate_tested,
)
from tests.support.simulated import assigned, simulated_reports


class PowerLossError(BaseException):
    """The moment of the loss."""


@dataclass(slots=True)
class ForgetfulDisk:
    """What of the files below a folder is on disk: contents and names as they were last synced."""

    root: Path
    contents: dict[int, bytes] = field(default_factory=dict)
    names: dict[int, dict[str, tuple[int, bool]]] = field(default_factory=dict)
    # No inode that was synced is given to another file.
    kept: list[int] = field(default_factory=list)

    def fsync(self, handle: int) -> None:
        """Sync a file or folder."""
        self.kept.append(os.dup(handle))
        found, path = os.fstat(handle), Path(os.readlink(f"/proc/self/fd/{handle}"))
        if stat.S_ISDIR(found.st_mode):
            with os.scandir(path) as entries:
                self.names[found.st_ino] = {e.name: (e.inode(), e.is_dir()) for e in entries}
        else:
            self.contents[found.st_ino] = path.read_bytes()

    def restore(self, target: Path) -> None:
        """Write what is left after the loss of power to a new folder."""
        self._restore(self.root.stat().st_ino, target)
        # SQLite syncs its files itself, and the names of its logs.
        storage = self.root / "challenger-studies"
        for path in [*storage.glob("optuna.db*"), *storage.glob("tiny/outbox.db*")]:
            copy = target / path.relative_to(self.root)
            if copy.exists() or path.name.endswith("-wal"):
                shutil.copy(path, copy)

    def _restore(self, folder: int, target: Path) -> None:
        target.mkdir()
        for name, (inode, is_folder) in self.names.get(folder, {}).items():
            if is_folder:
                self._restore(inode, target / name)
            else:
                (target / name).write_bytes(self.contents.get(inode, b""))


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForgetfulDisk]:
    root = tmp_path / "work"
    root.mkdir()
    (root / "tiny.yaml").write_text(STUDY, encoding="utf-8")
    monkeypatch.chdir(root)
    for module in ("study.engine.publishing", "study.engine.run"):
        monkeypatch.setattr(f"{module}.start_sync", lambda *_: NoSync())
        monkeypatch.setattr(f"{module}.publish_report", publish_nothing)
    disk = ForgetfulDisk(root=root)
    monkeypatch.setattr(os, "fsync", disk.fsync)
    yield disk
    for handle in disk.kept:
        os.close(handle)


@pytest.mark.parametrize("n_reports", [0, 1, 3, 7, 11])
def test_a_study_goes_on_after_a_loss_of_power(
    disk: ForgetfulDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_reports: int
) -> None:
    reported: list[tuple[str, int]] = []

    def train_until(coordinator: TrialCoordinator, context: ExecutionContext) -> None:
        del context
        while True:
            step = assigned(coordinator)
            for report in simulated_reports(step.config):
                if len(reported) == n_reports:
                    raise PowerLossError
                coordinator.report(step.key, report)
                reported.append(
                    (f"{step.key.arm}/{step.key.phase}/{step.key.number}", report.epoch)
                )
            coordinator.tell(step.key)

    monkeypatch.setitem(EXECUTORS, "inline", train_until)
    with pytest.raises(PowerLossError):
        run(list(COMMANDS["run"]))
    left = tmp_path / "left"
    disk.restore(left)
    shutil.copy(disk.root / "tiny.yaml", left)
    monkeypatch.chdir(left)
    seen: list[tuple[str, int]] = []

    def go_on(coordinator: TrialCoordinator, context: ExecutionContext) -> None:
        for record in coordinator.state.records():
            key = record.key
            seen.extend(
                (f"{key.arm}/{key.phase}/{key.number}", report.epoch)
                for report in coordinator.state.reports_of(key)
            )
        simulate_tested(coordinator, context)

    monkeypatch.setitem(EXECUTORS, "inline", go_on)
    assert run(list(COMMANDS["resume"])) == 0
    # Every report that was accepted is there.
    assert sorted(seen) == sorted(reported)
    assert {state for _, _, _, state, _, _ in results(left)} == {"COMPLETE"}
