"""Progress as lines in a log and as bars on a terminal."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from study.engine.coordinator import TrialCoordinator
from study.engine.progress_display import ProgressCallback
from tests.support.simulated import (
    StudyFixture,
    assigned,
    complete,
    simulate,
    study_text,
)


@pytest.fixture
def place(tmp_path: Path) -> StudyFixture:
    return StudyFixture.of(tmp_path, study_text())


def watched(
    place: StudyFixture, *, is_terminal: bool
) -> tuple[TrialCoordinator, ProgressCallback, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, width=200, force_terminal=is_terminal, color_system=None)
    callback = ProgressCallback(place.spec, console)
    return place.coordinator([callback]), callback, out


def test_a_log_gets_one_line_per_trial_that_ended(place: StudyFixture) -> None:
    coordinator, callback, out = watched(place, is_terminal=False)
    with callback.shown(tuple(coordinator.state.records())):
        simulate(coordinator, place.context)
    lines = out.getvalue().splitlines()
    records = list(coordinator.state.records())
    assert len(lines) == len(records)
    counts = [int(re.match(r"\[(\d+)/", line)[1]) for line in lines]  # type: ignore[index]
    assert counts == list(range(1, len(records) + 1))
    by_name = {line.split()[3]: line for line in lines}
    for record in records:
        assert by_name[str(record.key)].endswith(f" COMPLETE val/accuracy {record.value:.4f}")
    assert lines[-1].startswith(f"[{len(records)}/{len(records)}] ")


def test_a_failed_trial_is_shown_with_its_reason_even_if_that_looks_like_markup(
    place: StudyFixture,
) -> None:
    coordinator, callback, out = watched(place, is_terminal=False)
    with callback.shown(()):
        step = assigned(coordinator)
        coordinator.tell_failure(step.key, "shape [red]32[/red] " + "long " * 60 + "end")
    (line,) = out.getvalue().splitlines()
    assert line.endswith("end")
    assert "shape [red]32[/red] long" in line
    assert " random/search/0 FAIL: " in line


def test_a_study_that_continues_counts_its_earlier_trials(place: StudyFixture) -> None:
    before = place.coordinator()
    for _ in range(2):
        step = assigned(before)
        complete(before, step)
    coordinator, callback, out = watched(place, is_terminal=False)
    with callback.shown(tuple(coordinator.state.records())):
        simulate(coordinator, place.context)
    assert out.getvalue().startswith("[3/8] ")


def test_a_terminal_shows_a_bar_per_arm_and_phase_and_the_best_of_searches_only(
    place: StudyFixture,
) -> None:
    coordinator, callback, out = watched(place, is_terminal=True)
    with callback.shown(tuple(coordinator.state.records())):
        simulate(coordinator, place.context)
    last = out.getvalue().rpartition("all trials")[2]
    bars = {
        name: line
        for line in last.splitlines()
        for name in ("random search", "challenger search", "base final", "challenger final")
        if line.strip().startswith(name)
    }
    assert set(bars) == {"random search", "challenger search", "base final", "challenger final"}
    for name, line in bars.items():
        assert ("best 0." in line) == name.endswith("search")
    assert "2/2" in bars["random search"]


def test_a_terminal_shows_failures_with_their_reason(place: StudyFixture) -> None:
    coordinator, callback, out = watched(place, is_terminal=True)
    with callback.shown(()):
        step = assigned(coordinator)
        coordinator.tell_failure(step.key, "no memory")
    assert "random/search/0 failed: no memory" in out.getvalue()
