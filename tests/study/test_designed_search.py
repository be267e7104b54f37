"""Studies whose search trials are the points of a design, on a simulated executor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search_spaces import Design, Saltelli, Sobol, design_points
from study.handout import Assignment
from study.rows import trial_table
from study.store.ledger import Entry
from tests.study.simulated import Place, scripted, simulate, simulated_reports, study_text
from tests.study.test_conductor import Death, Killed
from tests.study.test_group_search import BASES, GROUP, MEMBERS
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


def place_of(root: Path, written: object, trials: int, **changes: Any) -> Place:  # noqa: ANN401
    """Place :func:`design_text` below a folder."""
    return Place.of(root, design_text(written, trials, **changes))


def points(place: Place, arm: str = "global") -> list[Entry]:
    return place.ledger().entries(arm, "search")


def expected(place: Place, design: Design, count: int, arm: str = "global") -> list[Any]:
    """Give the points of the design in the space of an arm; a group has its members' space."""
    space = next(a for a in place.spec.arms if arm in (a.name, a.group)).space
    seed = derive_seed(place.spec.seed, "design", arm)
    return list(design_points(design, space, seed, count))


@each_design
def test_the_trials_are_the_points_of_the_design(tmp_path, design, written, trials):
    place = place_of(tmp_path, written, trials)
    conductor = place.conductor()
    simulate(conductor, place.surroundings)
    found = points(place)
    assert [entry.params for entry in found] == expected(place, design, trials)
    assert {entry.state for entry in found} == {"COMPLETE"}
    assert len(points(place, "challenger")) == 2
    best = max(found, key=lambda entry: entry.value).params
    assert conductor.best(place.spec.arm("global")) == best
    assert not conductor.has_work()


def test_every_seed_and_every_arm_has_points_of_its_own(tmp_path):
    found = []
    for seed in (0, 1):
        place = place_of(tmp_path / str(seed), "sobol", 4, seed=seed)
        simulate(place.conductor(), place.surroundings)
        found.append([entry.params for entry in points(place)])
        assert expected(place, Sobol(), 4) != expected(place, Sobol(), 4, "challenger")
    assert found[0] != found[1]


# One process after the other for each write: the smallest design at every change.
@pytest.mark.parametrize(
    ("design", "written", "trials"),
    [
        DESIGNS[0],
        *(pytest.param(*each.values, id=each.id, marks=pytest.mark.slow) for each in DESIGNS[1:]),
    ],
)
def test_a_driver_that_starts_again_at_any_moment_ends_with_exactly_the_points(
    tmp_path, monkeypatch, design, written, trials
):
    with monkeypatch.context() as patch:
        death = Death(patch, None)
        place = place_of(tmp_path / "whole", written, trials)
        simulate(place.conductor(), place.surroundings)
    for at in range(1, death.writes + 1, max(1, death.writes // 8)):
        place = place_of(tmp_path / str(at), written, trials)
        with monkeypatch.context() as patch:
            Death(patch, at)
            with pytest.raises(Killed):
                simulate(place.conductor(), place.surroundings)
        simulate(place.conductor(), place.surroundings)
        found = points(place)
        assert [entry.params for entry in found] == expected(place, design, trials)
        assert {entry.state for entry in found} == {"COMPLETE"}


def test_trials_that_fail_or_end_out_of_order_move_no_point(tmp_path):
    place = place_of(tmp_path, "sobol", 16)
    scripted(0)(place.conductor(), place.surroundings)
    found = points(place)
    assert [entry.params for entry in found] == expected(place, Sobol(), 16)
    assert {entry.state for entry in found} == {"COMPLETE", "FAIL", "PRUNED"}


@each_design
def test_a_study_that_is_given_more_trials_goes_on_with_the_same_design(
    tmp_path, design, written, trials
):
    place = place_of(tmp_path, written, trials)
    simulate(place.conductor(), place.surroundings)
    before = points(place)
    place = place_of(tmp_path, written, 2 * trials)
    simulate(place.conductor(), place.surroundings)
    found = points(place)
    assert found[:trials] == before
    assert [entry.params for entry in found] == expected(place, design, 2 * trials)


@each_design
def test_a_group_tries_the_points_of_its_design_on_each_dataset(tmp_path, design, written, trials):
    search = {"design": written, "trials": trials, "space": SPACE}
    arms = [*BASES, {**GROUP, "search": search}]
    place = Place.of(tmp_path, study_text(arms=arms, epochs=1))
    conductor = place.conductor()
    for _ in range(trials):
        step = conductor.next()
        assert isinstance(step, Assignment)
        for report in simulated_reports(step.config):
            conductor.report(step.key, report)
        conductor.finish(step.key)
    simulate(place.conductor(), place.surroundings)
    for name in ("both", *MEMBERS):
        assert [e.params for e in points(place, name)] == expected(place, design, trials, "both")
    assert {entry.state for entry in points(place, "both")} == {"COMPLETE"}


def test_the_table_says_who_proposed_and_where_the_blocks_are(tmp_path):
    place = place_of(tmp_path, "saltelli", 20)
    simulate(place.conductor(), place.surroundings)
    table = trial_table(place.spec, place.folder, place.books())
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
