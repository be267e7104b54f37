"""The points of a reproducible search, whichever trial ends first, in one process or several."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from search_spaces import ParamValue
from study.config.study_spec import parse
from study.engine.protocol import Done, TrialAssignment
from study.records.errors import SpecError
from tests.benchmarks.reproducible import search_length
from tests.support.simulated import StudyFixture, complete, study_file

Points = list[dict[str, ParamValue]]


def text(*, reproducible: bool, max_concurrent: int = 3, **changes: object) -> str:
    study = study_file(trials=12, startup_trials=3, sweep=[], **changes)
    study["defaults"]["search"] |= {
        "reproducible": reproducible,
        "max_concurrent": max_concurrent,
    }
    study["arms"] = [{"method": "challenger"}]
    return yaml.safe_dump(study, sort_keys=False)


def searched(folder: Path, study: str, seed: int, slots: int, killed_after: int) -> Points:
    """Return the points of a search whose trials end in a random order.

    Every ``killed_after`` trials the driver is lost with all that run, and another one continues.
    """
    place = StudyFixture.of(folder, study)
    rng = random.Random(seed)
    ended = 0
    coordinator = place.coordinator()
    running: list[TrialAssignment] = []
    while True:
        while len(running) < slots and isinstance(step := coordinator.ask(), TrialAssignment):
            running.append(step)
        if not running:
            break
        complete(coordinator, running.pop(rng.randrange(len(running))))
        ended += 1
        if ended % killed_after == 0:
            coordinator.flush()
            coordinator, running = place.coordinator(), []
    assert isinstance(coordinator.ask(), Done)
    records = coordinator.state.phase("challenger", "search").records
    return [dict(records[number].params) for number in range(12)]


CASES = [(0, 1, 1000), (1, 3, 1000), (2, 8, 1000), (3, 3, 4), (4, 2, 1)]


def all_points(folder: Path, study: Callable[[], str]) -> list[Points]:
    return [searched(folder / str(i), study(), *case) for i, case in enumerate(CASES)]


def test_order_places_and_kills_do_not_change_the_points(tmp_path: Path) -> None:
    first, *others = all_points(tmp_path, lambda: text(reproducible=True))
    for other in others:
        assert other == first


def test_without_it_they_do(tmp_path: Path) -> None:
    first, *others = all_points(tmp_path, lambda: text(reproducible=False))
    assert any(other != first for other in others)


def test_as_many_trials_run_at_a_time_as_the_search_allows(tmp_path: Path) -> None:
    place = StudyFixture.of(tmp_path, text(reproducible=True, max_concurrent=2))
    coordinator = place.coordinator()
    first, second = (coordinator.ask() for _ in range(2))
    assert isinstance(first, TrialAssignment)
    assert isinstance(second, TrialAssignment)
    assert coordinator.n_pending == 0
    assert not isinstance(coordinator.ask(), TrialAssignment)
    # The next point needs the first trial's result, not the second's.
    complete(coordinator, second)
    assert not isinstance(coordinator.ask(), TrialAssignment)
    complete(coordinator, first)
    assert isinstance(coordinator.ask(), TrialAssignment)


def test_one_at_a_time_is_the_plain_search(tmp_path: Path) -> None:
    plain = searched(tmp_path / "a", text(reproducible=False), 0, 1, 1000)
    lagging = text(reproducible=True, max_concurrent=1)
    assert searched(tmp_path / "b", lagging, 1, 3, 5) == plain


def test_a_scheduler_is_refused_beside_it() -> None:
    with pytest.raises(SpecError, match="reproducible search, got 'asha'"):
        parse(text(reproducible=True, scheduler="asha"), "study.yaml")


def test_waiting_costs_nothing_for_equal_trials_and_something_for_unequal_ones() -> None:
    assert search_length([1.0] * 12, 3, 3) == search_length([1.0] * 12, 3, None) == 4
    # Two places wait for the slow trial, which no later one may overtake by more than two.
    assert search_length([5.0, 1, 1, 1, 1, 1], 3, 3) == 6
    assert search_length([5.0, 1, 1, 1, 1, 1], 3, None) == 5
