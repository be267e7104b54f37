"""Studies as real processes that are killed or interrupted, and go on as if nothing had been."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from study.store.folder import Storage
from tests.study.shell import PATIENCE_S, Shell
from tests.study.simulated import Place, metrics_of, study_text

# The random sampler's points do not depend on the order in which trials end.
STUDY = study_text(sampler="random", trials=3, epochs=6, sweep=[1, 2, 3])
EPOCHS = list(range(7))


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Callable[[str], Shell]]:
    """Open a shell for an executor; at the end, end what it started."""
    ray = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    shells: list[Shell] = []

    def open_shell(executor: str) -> Shell:
        (tmp_path / "tiny.yaml").write_text(STUDY)
        shells.append(Shell(folder=tmp_path, ray=ray, executor=executor))
        return shells[-1]

    yield open_shell
    for opened in shells:
        for process in opened.started:
            if process.poll() is None:
                process.kill()
                process.wait()
        for number in opened.processes():
            os.kill(number, signal.SIGKILL)
    shutil.rmtree(ray, ignore_errors=True)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Give the result files of the study without any accident."""
    from study.executors import run_inline

    place = Place.of(tmp_path_factory.mktemp("whole"), STUDY)
    run_inline(place.conductor(), place.surroundings)
    return metrics_of(place.folder)


def states(shell: Shell) -> dict[str, tuple[str, float | None]]:
    place = Place.of(shell.root, STUDY, shell.database)
    conductor = place.books()
    return {str(e.key): (e.state, e.value) for e in conductor.entries()}


def assert_only_whole_trials_ended(shell: Shell) -> None:
    """Check that an interruption passed no trial off as ended."""
    stored = metrics_of(Storage(root=shell.root).study("tiny"))
    for key, (state, _) in states(shell).items():
        arm, phase, number = key.split("/")
        epochs = [epoch for epoch, _ in stored.get(f"{arm}/{phase}/{int(number):05d}", [])]
        assert state == ("COMPLETE" if epochs == EPOCHS else "RUNNING")


def assert_as_if_nothing_had_been(shell: Shell, expected: dict[str, Any]) -> None:
    """Check trials, numbers, epochs and values in the three places that hold them."""
    stored = metrics_of(Storage(root=shell.root).study("tiny"))
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


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    """Give the URL of a database, or None for the one in the storage folder."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_study_without_ray_survives_a_kill_at_any_moment(
    shell, uninterrupted: dict[str, Any], seed: int, database: str | None
) -> None:
    inline = shell("inline")
    inline.database = database
    total = sum(map(len, uninterrupted.values()))
    moments = sorted(random.Random(seed).sample(range(1, total), 3))
    for i, moment in enumerate(moments):
        process = inline.start(*(["run", "tiny.yaml"] if i == 0 else ["resume", "tiny"]))
        inline.until_reports(process, moment)
        process.kill()
        process.wait()
        assert_only_whole_or_untold_trials(inline)
    assert inline.finish("resume", "tiny") == 0
    assert_as_if_nothing_had_been(inline, uninterrupted)


def assert_only_whole_or_untold_trials(shell: Shell) -> None:
    """Check what a kill may leave: a trial whose last report is stored may not be told yet."""
    stored = metrics_of(Storage(root=shell.root).study("tiny"))
    for key, (state, _) in states(shell).items():
        arm, phase, number = key.split("/")
        epochs = [epoch for epoch, _ in stored.get(f"{arm}/{phase}/{int(number):05d}", [])]
        assert state == "RUNNING" or (state == "COMPLETE" and epochs == EPOCHS)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_study_without_ray_that_is_interrupted_says_how_to_go_on(
    shell, uninterrupted: dict[str, Any], number: signal.Signals
) -> None:
    inline = shell("inline")
    process = inline.start("run", "tiny.yaml")
    inline.until_reports(process, 10)
    process.send_signal(number)
    assert process.wait(PATIENCE_S) == 130
    assert inline.last_line() == (
        "interrupted; nothing is lost. Go on with: challenger-study resume tiny"
    )
    assert_only_whole_trials_ended(inline)
    assert inline.finish("resume", "tiny") == 0
    assert_as_if_nothing_had_been(inline, uninterrupted)


# Four times a Ray starts and trains, on a machine that may do other things too.
@pytest.mark.timeout(1800)
@pytest.mark.ray
def test_a_study_on_ray_survives_kill_ctrl_c_and_sigterm(
    shell, uninterrupted: dict[str, Any]
) -> None:
    on_ray = shell("ray")
    process = on_ray.start("run", "tiny.yaml")
    on_ray.until_reports(process, 12)
    process.kill()
    process.wait()
    # Ray's processes follow their driver by themselves, and so does the delivery's.
    on_ray.wait_until(lambda: on_ray.processes() == [])
    assert_only_whole_or_untold_trials(on_ray)
    for number in (signal.SIGINT, signal.SIGTERM):
        before = on_ray.n_reports()
        process = on_ray.start("resume", "tiny")
        on_ray.until_reports(process, before + 10)
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 130
        assert on_ray.last_line() == (
            "interrupted; nothing is lost. Go on with: challenger-study resume tiny"
        )
        on_ray.wait_until(lambda: on_ray.processes() == [])
        assert_only_whole_or_untold_trials(on_ray)
        assert {state for state, _ in states(on_ray).values()} <= {"COMPLETE", "RUNNING"}
    assert on_ray.finish("resume", "tiny") == 0
    assert_as_if_nothing_had_been(on_ray, uninterrupted)
    on_ray.wait_until(lambda: on_ray.processes() == [])
    assert_said_by_the_study_alone(on_ray)


def assert_said_by_the_study_alone(shell: Shell) -> None:
    """Check that neither Ray nor Python wrote a line of their own to the terminal."""
    text = shell.log.read_text(encoding="utf-8")
    for noise in ("Traceback", "Warning", "WARNING", "INFO", "ray.tune", "(raylet)", "pid="):
        assert not re.search(re.escape(noise), text), text
