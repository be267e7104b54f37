"""A study of seconds, and whether what is left of one is as if nothing had happened to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from study.storage.layout import StorageRoot
from tests.study.fault_tolerance.shell import Shell
from tests.support.simulated import StudyFixture, metrics_of, study_text

# The random sampler's points do not depend on the order in which trials end.
STUDY = study_text(sampler="random", trials=3, epochs=6, sweep=[1, 2, 3])
EPOCHS = list(range(7))


def states(shell: Shell) -> dict[str, tuple[str, float | None]]:
    place = StudyFixture.of(shell.root, STUDY, shell.database)
    coordinator = place.state()
    return {str(e.key): (e.state, e.value) for e in coordinator.records()}


def assert_only_whole_trials_ended(shell: Shell) -> None:
    """Check that an interruption passed no trial off as ended."""
    stored = metrics_of(StorageRoot(root=shell.root).study("tiny"))
    for key, (state, _) in states(shell).items():
        arm, phase, number = key.split("/")
        epochs = [epoch for epoch, _ in stored.get(f"{arm}/{phase}/{int(number):05d}", [])]
        assert state == ("COMPLETE" if epochs == EPOCHS else "RUNNING")


def assert_as_if_nothing_had_been(shell: Shell, expected: dict[str, Any]) -> None:
    """Check trials, numbers, epochs and values in the three places that hold them."""
    stored = metrics_of(StorageRoot(root=shell.root).study("tiny"))
    assert stored == expected
    found = states(shell)
    assert {state for state, _ in found.values()} == {"COMPLETE"}
    names = {f"{arm}/{phase}/{int(i):05d}" for arm, phase, i in (k.split("/") for k in found)}
    assert names == set(expected)
    for key, (_, value) in found.items():
        arm, phase, number = key.split("/")
        epochs = stored[f"{arm}/{phase}/{int(number):05d}"]
        assert [epoch for epoch, _ in epochs] == EPOCHS
        last = epochs[-1][1]["val/accuracy"]
        assert value == pytest.approx(sum(last) / len(last), rel=1e-15)
    assert tracked_epochs(shell) == dict.fromkeys(found, EPOCHS)
    assert list(shell.study.rglob("epoch-*.pt")) == []


def tracked_epochs(shell: Shell) -> dict[str, list[int]]:
    """Give the epochs of each trial in MLflow, as often as they are there."""
    found: dict[str, list[int]] = {}
    query = (
        "SELECT arm.value, phase.value, number.value, metrics.step FROM metrics "
        "JOIN tags AS arm ON arm.run_uuid = metrics.run_uuid AND arm.key = 'arm' "
        "JOIN tags AS phase ON phase.run_uuid = metrics.run_uuid AND phase.key = 'phase' "
        "JOIN tags AS number ON number.run_uuid = metrics.run_uuid "
        "AND number.key = 'trial_number' "
        "WHERE metrics.key = 'filter_cosine/mean' ORDER BY metrics.step"
    )
    path = shell.root / "mlflow.db"
    with closing(sqlite3.connect(path, timeout=30)) as database:
        for arm, phase, number, step in database.execute(query):
            found.setdefault(f"{arm}/{phase}/{number}", []).append(step)
    return found


def assert_only_whole_or_untold_trials(shell: Shell) -> None:
    """Check what a kill may leave: a trial whose last report is stored may not be told yet."""
    stored = metrics_of(StorageRoot(root=shell.root).study("tiny"))
    for key, (state, _) in states(shell).items():
        arm, phase, number = key.split("/")
        epochs = [epoch for epoch, _ in stored.get(f"{arm}/{phase}/{int(number):05d}", [])]
        assert state == "RUNNING" or (state == "COMPLETE" and epochs == EPOCHS)
