"""Studies as real processes that are killed or interrupted, and end like uninterrupted ones."""

from __future__ import annotations

import random
import re
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
    moments = sorted(random.Random(seed).sample(range(1, total), 3))
    for i, moment in enumerate(moments):
        process = inline.start(*(["run", "tiny.yaml"] if i == 0 else ["resume", "tiny"]))
        inline.until_reports(process, moment)
        process.kill()
        process.wait()
        assert_only_whole_trials_complete(inline)
    assert inline.finish("resume", "tiny") == 0
    assert_equals_uninterrupted(inline, uninterrupted)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
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
