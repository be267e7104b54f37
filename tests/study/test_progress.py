"""Progress as lines in a log and as bars on a terminal."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from study.conductor import Conductor
from study.handout import Assignment
from study.progress import ProgressListener
from tests.study.simulated import Place, simulate, simulated_reports, study_text


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.of(tmp_path, study_text())


def watched(place: Place, *, is_terminal: bool) -> tuple[Conductor, ProgressListener, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, width=200, force_terminal=is_terminal, color_system=None)
    listener = ProgressListener(place.spec, console)
    return place.conductor([listener]), listener, out


def test_a_log_gets_one_line_per_trial_that_ended(place: Place) -> None:
    conductor, listener, out = watched(place, is_terminal=False)
    with listener.shown(tuple(conductor.entries())):
        simulate(conductor, place.surroundings)
    lines = out.getvalue().splitlines()
    entries = list(conductor.entries())
    assert len(lines) == len(entries)
    counts = [int(re.match(r"\[(\d+)/", line)[1]) for line in lines]  # type: ignore[index]
    assert counts == list(range(1, len(entries) + 1))
    by_name = {line.split()[3]: line for line in lines}
    for entry in entries:
        assert by_name[str(entry.key)].endswith(f" COMPLETE val/accuracy {entry.value:.4f}")
    assert lines[-1].startswith(f"[{len(entries)}/{len(entries)}] ")


def test_a_failed_trial_says_why_even_where_its_reason_looks_like_markup(place: Place) -> None:
    conductor, listener, out = watched(place, is_terminal=False)
    with listener.shown(()):
        step = conductor.next()
        assert isinstance(step, Assignment)
        conductor.fail(step.key, "shape [red]32[/red] " + "long " * 60 + "end")
    (line,) = out.getvalue().splitlines()
    assert line.endswith("end")
    assert "shape [red]32[/red] long" in line
    assert " random/search/0 FAIL: " in line


def test_a_study_that_goes_on_counts_from_where_it_stood(place: Place) -> None:
    before = place.conductor()
    for _ in range(2):
        step = before.next()
        assert isinstance(step, Assignment)
        for report in simulated_reports(step.config):
            before.report(step.key, report)
        before.finish(step.key)
    conductor, listener, out = watched(place, is_terminal=False)
    with listener.shown(tuple(conductor.entries())):
        simulate(conductor, place.surroundings)
    assert out.getvalue().startswith("[3/8] ")


def test_a_terminal_shows_a_bar_per_arm_and_phase_and_the_best_of_a_search_alone(
    place: Place,
) -> None:
    conductor, listener, out = watched(place, is_terminal=True)
    with listener.shown(tuple(conductor.entries())):
        simulate(conductor, place.surroundings)
    last = out.getvalue().rpartition("all trials")[2]
    lanes = {
        name: line
        for line in last.splitlines()
        for name in ("random search", "challenger search", "base final", "challenger final")
        if line.strip().startswith(name)
    }
    assert set(lanes) == {"random search", "challenger search", "base final", "challenger final"}
    for name, line in lanes.items():
        assert ("best 0." in line) == name.endswith("search")
    assert "2/2" in lanes["random search"]


def test_a_terminal_is_told_of_failures_with_their_reason(place: Place) -> None:
    conductor, listener, out = watched(place, is_terminal=True)
    with listener.shown(()):
        step = conductor.next()
        assert isinstance(step, Assignment)
        conductor.fail(step.key, "no memory")
    assert "random/search/0 failed: no memory" in out.getvalue()
