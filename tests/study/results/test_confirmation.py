"""The race of the best search trials on fresh validation seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from yaml import safe_dump

from study.config.schema import Confirm
from study.results.confirmation import Race, leading, survivors
from tests.benchmarks.confirmation import SimulatedSearches, simulate
from tests.support.simulated import StudyFixture, assigned, complete, study_file
from tests.support.simulated import simulate as execute
from tests.support.study_files import refusal, text
from trainables.config import TrialConfig

POINTS = ({"top_k": 1}, {"top_k": 2}, {"top_k": 3})


def race(results, *, replicas: int = 6, maximize: bool = True) -> Race:
    return Race(Confirm(top=3, replicas=replicas), POINTS, results, maximize=maximize)


@pytest.mark.parametrize(
    ("replicas", "ends"),
    [(2, (2,)), (3, (2, 3)), (12, (3, 6, 9, 12)), (13, (4, 8, 12, 13)), (40, (10, 20, 30, 40))],
)
def test_all_seeds_are_used_once_in_up_to_four_rounds(replicas, ends):
    confirm = Confirm(replicas=replicas)
    assert confirm.ends == ends
    used = [i for end in ends for i in confirm.seeds_of(end)]
    assert used == list(range(replicas))


def test_a_candidate_is_dropped_exactly_where_the_paired_t_test_says_so():
    leader = np.array([0.9, 0.8, 0.7, 0.9, 0.8])
    for lead in (0.001, 0.03, 0.05, 0.2):
        other = leader - lead + np.array([0.02, -0.02, 0.01, -0.01, 0.0])
        p = stats.ttest_rel(leader, other, alternative="greater").pvalue
        kept = survivors({0: other, 1: leader}, maximize=True)
        assert kept == ((0, 1) if p >= 0.01 else (1,))
        assert survivors({0: -other, 1: -leader}, maximize=False) == kept
    # Four values are too few, and equal candidates stay.
    assert survivors({0: [0.9] * 4, 1: [0.1] * 4}, maximize=True) == (0, 1)
    assert survivors({0: [0.9] * 5, 1: [0.1] * 5}, maximize=True) == (0,)
    assert survivors({0: [0.9] * 5, 1: [0.9] * 5}, maximize=True) == (0, 1)
    assert leading({0: [0.5], 1: [0.5]}, maximize=True) == 0


def test_a_race_asks_round_by_round_and_chooses_by_the_mean_of_fresh_seeds():
    assert race({}).pending == ((2, 0), (2, 1), (2, 2))
    assert race({2: {1: (0.5, 0.5)}}).pending == ((2, 0), (2, 2))
    first = {0: (0.4, 0.5), 1: (0.5, 0.6), 2: None}
    assert race({2: first}).pending == ((4, 0), (4, 1))
    second = {0: (0.9, 0.8), 1: (0.4, 0.5)}
    third = {0: (0.6, 0.6), 1: (0.5, 0.6)}
    done = race({2: first, 4: second, 6: third})
    assert (done.pending, done.chosen) == ((), POINTS[0])
    assert race({2: first, 4: second, 6: third}, maximize=False).chosen == POINTS[1]
    assert race({2: dict.fromkeys(range(3))}).chosen is None
    clear = {5: {0: (0.1,) * 5, 1: (0.9,) * 5, 2: (0.2,) * 5}}
    early = race(clear, replicas=20)
    assert (early.pending, early.chosen) == ((), POINTS[1])


def study() -> str:
    data = study_file(trials=8, sweep=None)
    data["defaults"]["search"] |= {"confirm": {"top": 3, "replicas": 5}}
    return safe_dump(data)


def races(place: StudyFixture) -> list[TrialConfig]:
    state = place.state()
    return [
        state.config(record)
        for arm in state.spec.arms
        for record in state.phase(arm.name, "confirm").records.values()
    ]


def test_a_study_confirms_its_best_trials_on_seeds_of_their_own_without_the_test_split(tmp_path):
    place = StudyFixture.of(tmp_path, study())
    coordinator = place.coordinator()
    execute(coordinator, place.context)
    assert not coordinator.has_work()
    state, configs = place.state(), races(place)
    assert configs
    assert not any(config.is_final for config in configs)
    others = {
        seed
        for record in state.records()
        if record.key.phase != "confirm"
        for seed in state.config(record).seeds
    }
    assert not others & {seed for config in configs for seed in config.seeds}
    for arm in state.spec.arms:
        if arm.is_searched:
            raced = state.phase(arm.name, "confirm").records
            assert state.best(arm) in [record.params for record in raced.values()]
            # Every candidate of a round has the same seeds.
            first = [state.config(r).seeds for r in raced.values() if r.first_replica == 0]
            assert len(first) == 3
            assert len(set(first)) == 1
            (final,) = state.phase(arm.name, "final").records.values()
            assert final.params == state.best(arm)


def test_a_race_that_is_interrupted_after_every_trial_goes_on_as_it_would_have(tmp_path):
    whole, cut = (StudyFixture.of(tmp_path / name, study()) for name in ("whole", "cut"))
    execute(whole.coordinator(), whole.context)
    while (coordinator := cut.coordinator()).has_work():
        complete(coordinator, assigned(coordinator))
        # A trial that was assigned when the process ended.
        if coordinator.has_work():
            coordinator.ask()
        coordinator.flush()
    expected, found = (
        {
            str(r.key): (r.params, r.replicas, r.first_replica, r.value)
            for r in place.state().records()
        }
        for place in (whole, cut)
    )
    assert found == expected
    assert any("/confirm/" in key for key in found)


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        (
            "{method: challenger, search: {confirm: {top: 1}}}",
            "arms[0].search.confirm.top must be at least 2, got 1.",
        ),
        (
            "{method: base}, {method: base, name: b, dataset: mnist}, "
            "{method: challenger, datasets: [digits, mnist], search: {confirm: {}}}",
            "arms[2].datasets[0].search.confirm must be null for an arm over several datasets",
        ),
    ],
)
def test_what_cannot_be_confirmed_is_refused(arm, message):
    assert message in refusal(text(arm))


def test_confirming_lowers_the_regret_of_noisy_searches_at_equal_cost():
    # The whole simulation: ``python -m tests.benchmarks confirmation``.
    small = simulate(SimulatedSearches(studies=60, seed=1))
    assert small.trainings_confirmed <= small.trainings_plain
    assert small.regret_confirmed < small.regret_plain
