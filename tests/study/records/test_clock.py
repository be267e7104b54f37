"""Times of a study while the machine's clock is set."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.records import clock
from study.results.build import build_trial_table
from study.results.export import export_columns
from tests.support.simulated import StudyFixture, assigned, complete, simulate, study_text

DAY_NS = 86_400 * 10**9


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Yield a list whose only entry is added to the wall clock, in nanoseconds."""
    ahead = [0]
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + ahead[0])
    clock._anchor.cache_clear()
    yield ahead
    clock._anchor.cache_clear()


@pytest.mark.parametrize("days", [1, -1])
def test_a_clock_that_is_set_changes_no_duration(
    tmp_path: Path, set_clock: list[int], days: int
) -> None:
    place = StudyFixture.of(tmp_path, study_text(arms=[{"method": "base"}]))
    coordinator = place.coordinator()
    step = assigned(coordinator)
    set_clock[0] = days * DAY_NS
    complete(coordinator, step)
    assert durations(place) == [pytest.approx(0, abs=3600)]


def test_a_trial_that_ends_under_a_clock_behind_its_start_takes_no_negative_time(
    tmp_path: Path, set_clock: list[int]
) -> None:
    place = StudyFixture.of(tmp_path, study_text(arms=[{"method": "base"}]))
    set_clock[0] = DAY_NS
    clock._anchor.cache_clear()
    assigned(place.coordinator())
    # Another process goes on, whose clock is right.
    set_clock[0] = 0
    clock._anchor.cache_clear()
    simulate(place.coordinator(), place.context)
    assert all(0 <= seconds < 3600 for seconds in durations(place))


def durations(place: StudyFixture) -> list[float]:
    table = build_trial_table(place.spec, place.folder, place.state())
    return [float(str(cell)) for cell in export_columns(table, "trial")["duration_s"]]
