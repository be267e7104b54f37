"""Studies whose search trials are the points of a design, on a simulated executor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search_spaces import Design, Saltelli, Sobol, design_points
from study.results.build import build_trial_table
from study.storage.trial_store import TrialRecord
from tests.study.engine.test_coordinator import CrashPoint, Killed
from tests.study.results.test_multi_dataset import BASES, GROUP, MEMBERS
from tests.support.simulated import (
    StudyFixture,
    assigned,
    complete,
    scripted,
    simulate,
    study_text,
)
from trainables.seeding import derive_seed

SPACE = {"beta": 1.0, "split": 0.5}
DESIGNS = [
    pytest.param(Sobol(), "sobol", 8, id="sobol"),
    pytest.param(Saltelli(), "saltelli", 10, id="saltelli"),
    pytest.param(
        Saltelli(second_order=True),
        {"name": "saltelli", "second_order": True},
        16,
        id="saltelli of second order",
    ),
]
each_design = pytest.mark.parametrize(("design", "written", "trials"), DESIGNS)


def design_text(written: object, trials: int, **changes: Any) -> str:  # noqa: ANN401 (YAML)
    """Write a study of two arms of one method: TPE's and, over three dimensions, a design's."""
    search = {"design": written, "trials": trials, "space": SPACE}
    arms = [
        {"method": "challenger"},
        {"method": "challenger", "name": "global", "search": search},
    ]
    return study_text(arms=arms, epochs=1, **changes)


def place_of(root: Path, written: object, trials: int, **changes: Any) -> StudyFixture:  # noqa: ANN401
    """Create the study of :func:`design_text` below a folder."""
    return StudyFixture.of(root, design_text(written, trials, **changes))


def points(place: StudyFixture, arm: str = "global") -> list[TrialRecord]:
    return place.store().records(arm, "search")


def expected(place: StudyFixture, design: Design, count: int, arm: str = "global") -> list[Any]:
    """Return the points of a design in the space of an arm; a group has its members' space."""
    space = next(a for a in place.spec.arms if arm in (a.name, a.group)).space
    seed = derive_seed(place.spec.seed, "design", arm)
    return list(design_points(design, space, seed, count))


@each_design
def test_the_trials_are_the_points_of_the_design(tmp_path, design, written, trials):
    place = place_of(tmp_path, written, trials)
    coordinator = place.coordinator()
    simulate(coordinator, place.context)
    found = points(place)
    assert [record.params for record in found] == expected(place, design, trials)
    assert {record.state for record in found} == {"COMPLETE"}
    assert len(points(place, "challenger")) == 2
    best = max(found, key=lambda record: record.value).params
    assert coordinator.state.best(place.spec.arm("global")) == best
    assert not coordinator.has_work()


def test_every_seed_and_every_arm_has_points_of_its_own(tmp_path):
    found = []
    for seed in (0, 1):
        place = place_of(tmp_path / str(seed), "sobol", 4, seed=seed)
        simulate(place.coordinator(), place.context)
        found.append([record.params for record in points(place)])
        assert expected(place, Sobol(), 4) != expected(place, Sobol(), 4, "challenger")
    assert found[0] != found[1]


# One process after the other for each write: at every change only the smallest design.
@pytest.mark.parametrize(
    ("design", "written", "trials"),
    [
        DESIGNS[0],
        *(pytest.param(*each.values, id=each.id, marks=pytest.mark.slow) for each in DESIGNS[1:]),
    ],
)
def test_a_driver_killed_at_any_write_ends_with_exactly_the_points(
    tmp_path, monkeypatch, design, written, trials
):
    with monkeypatch.context() as patch:
        death = CrashPoint(patch, None)
        place = place_of(tmp_path / "whole", written, trials)
        simulate(place.coordinator(), place.context)
    for at in range(1, death.writes + 1, max(1, death.writes // 8)):
        place = place_of(tmp_path / str(at), written, trials)
        with monkeypatch.context() as patch:
            CrashPoint(patch, at)
            with pytest.raises(Killed):
                simulate(place.coordinator(), place.context)
        simulate(place.coordinator(), place.context)
        found = points(place)
        assert [record.params for record in found] == expected(place, design, trials)
        assert {record.state for record in found} == {"COMPLETE"}


def test_trials_that_fail_or_end_out_of_order_change_no_point(tmp_path):
    place = place_of(tmp_path, "sobol", 16)
    scripted(0)(place.coordinator(), place.context)
    found = points(place)
    assert [record.params for record in found] == expected(place, Sobol(), 16)
    assert {record.state for record in found} == {"COMPLETE", "FAIL", "PRUNED"}


@each_design
def test_a_study_with_more_trials_continues_the_same_design(tmp_path, design, written, trials):
    place = place_of(tmp_path, written, trials)
    simulate(place.coordinator(), place.context)
    before = points(place)
    place = place_of(tmp_path, written, 2 * trials)
    simulate(place.coordinator(), place.context)
    found = points(place)
    assert found[:trials] == before
    assert [record.params for record in found] == expected(place, design, 2 * trials)


@each_design
def test_a_group_tries_the_points_of_its_design_on_each_dataset(tmp_path, design, written, trials):
    search = {"design": written, "trials": trials, "space": SPACE}
    arms = [*BASES, {**GROUP, "search": search}]
    place = StudyFixture.of(tmp_path, study_text(arms=arms, epochs=1))
    coordinator = place.coordinator()
    for _ in range(trials):
        step = assigned(coordinator)
        complete(coordinator, step)
    simulate(place.coordinator(), place.context)
    for name in ("both", *MEMBERS):
        assert [e.params for e in points(place, name)] == expected(place, design, trials, "both")
    assert {record.state for record in points(place, "both")} == {"COMPLETE"}


def test_the_table_names_sampler_and_design_and_has_whole_blocks(tmp_path):
    place = place_of(tmp_path, "saltelli", 20)
    simulate(place.coordinator(), place.context)
    table = build_trial_table(place.spec, place.folder, place.state())
    own, designed = table.arms
    assert (own.sampler, own.design) == ("tpe", None)
    assert (designed.sampler, designed.design) == ("saltelli", Saltelli())
    assert table.sampler == "tpe, saltelli"
    size = designed.design.block_size(len(designed.dimensions))
    rows = table.select("global", "search")
    assert (size, len(rows)) == (5, 20)
    for row in rows:
        first, last = (rows[row.number // size * size + i].params for i in (0, size - 1))
        changed = [name for name in designed.dimensions if row.params[name] != first[name]]
        at = row.number % size
        if 0 < at < size - 1:
            assert changed in ([list(designed.dimensions)[at - 1]], [])
            assert all(row.params[name] == last[name] for name in changed)


def test_what_is_still_to_be_trained_is_counted_by_arm_and_phase(tmp_path: Path):
    place = StudyFixture.of(tmp_path, study_text(trials=3, epochs=1, sweep=[1, 2]))
    coordinator = place.coordinator()

    def still_open() -> dict[tuple[str, str], tuple[int, int]]:
        table = build_trial_table(place.spec, place.folder, coordinator.state)
        return {(one.arm, one.phase): (one.ended, one.total) for one in table.open}

    finals = {("base", "final"): (0, 1), ("random", "final"): (0, 1)}
    assert still_open() == {
        **finals,
        ("random", "search"): (0, 3),
        ("challenger", "search"): (0, 3),
        ("challenger", "final"): (0, 2),
    }
    running = assigned(coordinator)
    # One that runs has not ended.
    assert still_open()[running.key.arm, "search"] == (0, 3)
    complete(coordinator, running)
    assert still_open()[running.key.arm, "search"] == (1, 3)
    for _ in range(5):
        complete(coordinator, assigned(coordinator))
    # Its choice is known: a value of K that is not swept is one more.
    best = place.state().best(place.spec.arm("challenger"))
    assert best is not None
    points = len({1, 2, best["top_k"]})
    assert still_open() == {**finals, ("challenger", "final"): (0, points)}
    simulate(coordinator, place.context)
    assert still_open() == {}


def test_an_arm_whose_search_has_failed_has_no_final_trials_to_wait_for(tmp_path: Path):
    arms = [{"method": "challenger"}, {"method": "random", "like": "challenger"}]
    place = StudyFixture.of(tmp_path, study_text(trials=1, epochs=1, arms=arms))
    coordinator = place.coordinator()
    search = assigned(coordinator)
    assert {(one.arm, one.phase) for one in coordinator.state.open_trials()} == {
        ("challenger", "search"),
        ("challenger", "final"),
        ("random-like-challenger", "final"),
    }
    coordinator.tell_failure(search.key, "it failed")
    assert list(coordinator.state.open_trials()) == []
