"""Studies as real processes that are killed or interrupted, and end like uninterrupted ones."""

from __future__ import annotations

import random
import re
import resource
import signal
from typing import Any

import pytest

from tests.study.fault_tolerance.consistency import (
    assert_equals_uninterrupted,
    assert_only_whole_trials_complete,
    assert_only_whole_trials_ended,
    states,
)
from tests.study.fault_tolerance.shell import TIMEOUT_S, Shell


# The worst moments are tested at every change (``test_crash_points.py``), others sometimes.
@pytest.mark.parametrize(
    ("seed", "database"),
    [
        (0, "sqlite"),
        *(
            pytest.param(seed, database, marks=pytest.mark.slow)
            for seed, database in ((1, "sqlite"), (0, "postgresql"), (1, "postgresql"))
        ),
    ],
    indirect=["database"],
)
def test_a_study_without_ray_survives_a_kill_at_any_moment(
    shell, uninterrupted: dict[str, Any], seed: int, database: str | None
) -> None:
    inline = shell("inline")
    inline.database = database
    total = sum(map(len, uninterrupted.values()))
    moments = sorted(random.Random(seed).sample(range(1, total), 2))
    for i, moment in enumerate(moments):
        process = inline.start(*(["run", "tiny.yaml"] if i == 0 else ["resume", "tiny"]))
        inline.until_reports(process, moment)
        process.kill()
        process.wait()
        assert_only_whole_trials_complete(inline)
    assert inline.finish("resume", "tiny") == 0
    assert_equals_uninterrupted(inline, uninterrupted)


@pytest.mark.parametrize(
    "number",
    [
        # What is left is continued as after a kill.
        pytest.param(signal.SIGINT, marks=pytest.mark.extended),
        # A terminal that is closed.
        pytest.param(signal.SIGHUP, marks=pytest.mark.extended),
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_study_without_ray_shows_how_to_continue(
    shell, uninterrupted: dict[str, Any], number: signal.Signals
) -> None:
    inline = shell("inline")
    process = inline.start("run", "tiny.yaml")
    inline.until_reports(process, 10)
    process.send_signal(number)
    assert process.wait(TIMEOUT_S) == 130
    assert inline.last_line() == (
        "interrupted; nothing is lost. Resume with: challenger-study resume tiny"
    )
    assert_only_whole_trials_ended(inline)
    assert inline.finish("resume", "tiny") == 0
    assert_equals_uninterrupted(inline, uninterrupted)


@pytest.mark.extended
def test_a_suspended_driver_keeps_its_study_and_goes_on_when_it_wakes_up(
    shell, uninterrupted: dict[str, Any]
) -> None:
    inline = shell("inline")
    process = inline.start("run", "tiny.yaml")
    inline.until_reports(process, 10)
    process.send_signal(signal.SIGSTOP)
    before = inline.n_reports()
    assert inline.finish("resume", "tiny") == 2
    assert re.fullmatch(
        rf"Error: study 'tiny' is being run by process {process.pid} on \S+ since \S+; wait for "
        r"it, or stop it with Ctrl-C and start again\.",
        inline.last_line(),
    )
    assert inline.n_reports() == before
    process.send_signal(signal.SIGCONT)
    assert process.wait(TIMEOUT_S) == 0
    assert_equals_uninterrupted(inline, uninterrupted)


@pytest.mark.extended
@pytest.mark.parametrize("executor", ["inline", pytest.param("ray", marks=pytest.mark.ray)])
def test_a_study_runs_with_few_open_files(
    shell, uninterrupted: dict[str, Any], executor: str
) -> None:
    few = shell(executor)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    try:
        process = few.start("run", "tiny.yaml")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert process.wait(TIMEOUT_S) == 0, few.log.read_text(encoding="utf-8")
    assert_equals_uninterrupted(few, uninterrupted)


# Four times a Ray starts and trains, on a machine that may be busy.
@pytest.mark.timeout(1800)
@pytest.mark.ray
@pytest.mark.extended
def test_a_study_on_ray_survives_kill_ctrl_c_and_sigterm(
    shell, uninterrupted: dict[str, Any]
) -> None:
    on_ray = shell("ray")
    process = on_ray.start("run", "tiny.yaml")
    on_ray.until_reports(process, 12)
    process.kill()
    process.wait()
    # Ray's processes and the sync process end with their driver.
    on_ray.wait_until(lambda: on_ray.pids() == [])
    assert_only_whole_trials_complete(on_ray)
    for number in (signal.SIGINT, signal.SIGTERM):
        before = on_ray.n_reports()
        process = on_ray.start("resume", "tiny")
        on_ray.until_reports(process, before + 10)
        process.send_signal(number)
        assert process.wait(TIMEOUT_S) == 130
        assert on_ray.last_line() == (
            "interrupted; nothing is lost. Resume with: challenger-study resume tiny"
        )
        on_ray.wait_until(lambda: on_ray.pids() == [])
        assert_only_whole_trials_complete(on_ray)
        assert {state for state, _ in states(on_ray).values()} <= {"COMPLETE", "RUNNING"}
    assert on_ray.finish("resume", "tiny") == 0
    assert_equals_uninterrupted(on_ray, uninterrupted)
    on_ray.wait_until(lambda: on_ray.pids() == [])
    assert_no_foreign_output(on_ray)


def assert_no_foreign_output(shell: Shell) -> None:
    """Check that neither Ray nor Python wrote lines of their own to the terminal."""
    text = shell.log.read_text(encoding="utf-8")
    for noise in ("Traceback", "Warning", "WARNING", "INFO", "ray.tune", "(raylet)", "pid="):
        assert not re.search(re.escape(noise), text), text
