"""The study under blows holds every kind of trial, and lasts as long as it is wanted to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from study.config import check_continuation, parse
from tests.faults.harness import STUDY_NAME, first_trials, more_trials, study_text


def test_the_study_has_a_control_a_search_a_sweep_and_a_scheduler() -> None:
    spec = parse(study_text(trials=5, seed=7), "study.yaml")
    assert (spec.name, spec.seed) == (STUDY_NAME, 7)
    searched = [arm for arm in spec.arms if arm.space.dimensions]
    assert [arm.search.trials for arm in searched] == [5, 5]
    assert {arm.search.scheduler for arm in searched} == {"none", "asha"}
    assert {arm.search.sampler for arm in searched} == {"tpe", "random"}
    assert any(arm.sensitivity for arm in spec.arms)
    assert any(not arm.space.dimensions for arm in spec.arms)


def test_a_longer_study_goes_on_with_a_shorter_one() -> None:
    begun, longer = (parse(study_text(trials, seed=0), "study.yaml") for trials in (3, 4))
    check_continuation(begun, longer, "study.yaml")


@given(
    trials=st.integers(1, 1000),
    elapsed_s=st.floats(0, 10_000),
    seconds=st.floats(30, 10_000),
)
def test_more_trials_are_always_more(trials: int, elapsed_s: float, seconds: float) -> None:
    more = more_trials(trials, elapsed_s, seconds)
    assert more > trials
    assert more >= trials * seconds / max(elapsed_s, 1.0) - 1


def test_a_longer_run_begins_with_more_trials() -> None:
    assert first_trials(30) < first_trials(180) < first_trials(3600)
