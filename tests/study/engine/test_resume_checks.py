"""A design that would go on with other points than it began with."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from search_spaces import Sobol, design_points
from study.config.run_options import RunOptions
from study.engine import run
from study.engine.coordinator import TrialCoordinator
from study.engine.protocol import TrialAssignment
from study.engine.resume_checks import require_same_design_points
from study.records.errors import StoreError
from tests.study.engine.test_planner import design_text, expected, place_of
from tests.study.results.test_multi_dataset import BASES, GROUP
from tests.support.simulated import StudyFixture, simulate, study_text


def begin(coordinator: TrialCoordinator, trials: int) -> None:
    """Ask for some trials."""
    for _ in range(trials):
        assert isinstance(coordinator.ask(), TrialAssignment)


def draw_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand for a version of scipy that scrambles differently."""
    own = design_points
    monkeypatch.setattr(
        "study.engine.resume_checks.design_points",
        lambda d, space, seed, n: own(d, space, seed + 1, n),
    )


def test_points_that_are_the_same_pass(tmp_path):
    place = place_of(tmp_path, "sobol", 8)
    require_same_design_points(place.coordinator().state)
    begin(place.coordinator(), 5)
    require_same_design_points(place.coordinator().state)


def test_points_that_would_be_others_are_refused_before_anything_is_asked_for(
    tmp_path, monkeypatch
):
    place = place_of(tmp_path, "saltelli", 10)
    begin(place.coordinator(), 5)
    draw_elsewhere(monkeypatch)
    with pytest.raises(StoreError) as refused:
        require_same_design_points(place.coordinator().state)
    point = place.store().records("global", "search")[0].params
    said = str(refused.value)
    assert said.startswith("global/search/0 is a point of design 'saltelli' and must be {'top_k'")
    assert said.endswith(
        f"but was created at {dict(point)}; continue with the versions of scipy and SALib that "
        "the study was started with, or give it another name."
    )


def test_a_design_that_was_asked_for_as_a_whole_is_not_looked_at(tmp_path, monkeypatch):
    place = place_of(tmp_path, "sobol", 4)
    simulate(place.coordinator(), place.context)
    draw_elsewhere(monkeypatch)
    require_same_design_points(place.coordinator().state)
    with pytest.raises(StoreError):
        require_same_design_points(place_of(tmp_path, "sobol", 8).coordinator().state)


def test_the_points_of_a_group_are_looked_at(tmp_path, monkeypatch):
    search = {"design": "sobol", "trials": 4}
    text = study_text(arms=[*BASES, {**GROUP, "search": search}])
    place = StudyFixture.of(tmp_path, text)
    begin(place.coordinator(), 3)
    require_same_design_points(place.coordinator().state)
    draw_elsewhere(monkeypatch)
    with pytest.raises(StoreError, match=r"^both/search/0 is a point of design 'sobol'"):
        require_same_design_points(place.coordinator().state)


def test_a_run_looks_before_it_goes_on(tmp_path, monkeypatch):
    place = place_of(tmp_path, "sobol", 4)
    begin(place.coordinator(), 3)
    before = list(place.state().records())
    draw_elsewhere(monkeypatch)
    options = RunOptions(storage=place.storage, executor="inline")
    with pytest.raises(StoreError, match=r"^global/search/0 is a point of design 'sobol'"):
        run.run_study(design_text("sobol", 4), "study.yaml", options, Console(quiet=True))
    assert list(place.state().records()) == before


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({}, True),
        ({"alpha": lambda x: x * (1 + 1e-15)}, True),
        ({"alpha": lambda x: x * (1 + 1e-6)}, False),
        ({"top_k": lambda x: x + 1}, False),
    ],
)
def test_the_last_bit_may_differ_and_nothing_else(tmp_path, changes, is_same):
    place = place_of(tmp_path, "sobol", 4)
    begin(place.coordinator(), 2)
    state = place.state()
    records = state.phase("global", "search").records
    point = dict(expected(place, Sobol(), 1)[0])
    moved = {name: changes.get(name, lambda x: x)(value) for name, value in point.items()}
    records[0] = replace(records[0], params=moved)
    if is_same:
        require_same_design_points(state)
    else:
        with pytest.raises(StoreError, match=r"^global/search/0 is"):
            require_same_design_points(state)
