"""A study of seconds, and checks of its trials, reports and MLflow records after a fault."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
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
    state = place.state()
    return {str(e.key): (e.state, e.value) for e in state.records()}


def assert_only_whole_trials_ended(shell: Shell) -> None:
    """Check that exactly the trials with all reports are complete after an interruption."""
    for state, epochs in states_and_epochs(shell):
        assert state == ("COMPLETE" if epochs == EPOCHS else "RUNNING")


def assert_only_whole_trials_complete(shell: Shell) -> None:
    """Check that complete trials have all reports after a kill; a whole one may still run."""
    for state, epochs in states_and_epochs(shell):
        assert state == "RUNNING" or (state == "COMPLETE" and epochs == EPOCHS)


def states_and_epochs(shell: Shell) -> Iterator[tuple[str, list[int]]]:
    """Yield the state and the reported epochs of each trial."""
    stored = metrics_of(StorageRoot(root=shell.root).study("tiny"))
    for key, (state, _) in states(shell).items():
        arm, phase, number = key.split("/")
        yield state, [epoch for epoch, _ in stored.get(f"{arm}/{phase}/{int(number):05d}", [])]


def assert_equals_uninterrupted(shell: Shell, expected: dict[str, Any]) -> None:
    """Compare trial store, report logs and MLflow with an uninterrupted study."""
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
    """Return the epochs of each trial in MLflow, with repetitions."""
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
