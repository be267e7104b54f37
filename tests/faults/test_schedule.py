"""The schedule of blows: seeded, complete, and such that a study still gets on."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.schedule import FAULT_KINDS, schedule

SEEDS = st.integers(min_value=0, max_value=2**31)


@given(seed=SEEDS)
def test_every_kind_comes_within_three_minutes(seed: int) -> None:
    assert {fault.kind for fault in schedule(seed, 180)} == set(FAULT_KINDS)


@given(seed=SEEDS, seconds=st.floats(min_value=1, max_value=3600))
def test_faults_come_in_order_and_within_their_time(seed: int, seconds: float) -> None:
    times = [fault.at_s for fault in schedule(seed, seconds)]
    assert times == sorted(times)
    assert all(2 <= at_s < seconds for at_s in times)


@given(seed=SEEDS)
def test_equal_seeds_give_equal_plans_and_others_differ(seed: int) -> None:
    assert schedule(seed, 300) == schedule(seed, 300)
    assert schedule(seed, 300) != schedule(seed + 1, 300)


@given(seed=SEEDS, seconds=st.floats(min_value=30, max_value=900))
def test_only_what_can_be_away_has_a_length_and_a_third_of_the_run_at_most(
    seed: int, seconds: float
) -> None:
    for fault in schedule(seed, seconds):
        assert (fault.length_s > 0) == (fault.kind in {"database", "mlflow", "node"})
        assert fault.length_s <= max(3, seconds / 3)
        assert fault.length_s <= 60


def test_the_kinds_can_be_chosen() -> None:
    assert {fault.kind for fault in schedule(0, 600, ("worker", "mlflow"))} == {"worker", "mlflow"}
    assert schedule(0, 600, ()) == ()


def test_what_is_cheap_to_survive_comes_more_often_than_what_is_dear() -> None:
    kinds = [fault.kind for seed in range(20) for fault in schedule(seed, 900)]
    assert kinds.count("worker") > 2 * kinds.count("driver") > 2 * kinds.count("head")


@pytest.mark.parametrize("kind", ["driver", "preempt", "head"])
def test_a_driver_has_time_to_train_again_before_the_next_fault(kind: str) -> None:
    for seed in range(20):
        faults = schedule(seed, 900)
        for fault, following in itertools.pairwise(faults):
            if fault.kind == kind:
                assert following.at_s - fault.at_s > 15


def test_a_plan_does_not_change_with_the_version_of_the_program() -> None:
    first = [
        (fault.kind, round(fault.at_s), round(fault.length_s)) for fault in schedule(0, 180)[:4]
    ]
    assert first == [("database", 2, 50), ("driver", 13, 0), ("node", 44, 9), ("twice", 54, 0)]
