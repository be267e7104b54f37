from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.benchmarks import Quartiles, as_plain_data, paired_ratio, quartiles, time_interleaved


def test_ways_take_turns_and_the_first_round_is_not_counted():
    called: list[str] = []

    def way(name: str, took: float) -> Callable[[], float]:
        def run() -> float:
            called.append(name)
            return took + len(called)

        return run

    times = time_interleaved({"a": way("a", 0.0), "b": way("b", 100.0)}, rounds=3)
    assert called == ["a", "b"] * 4
    assert times == {"a": (3.0, 5.0, 7.0), "b": (104.0, 106.0, 108.0)}


def test_a_ratio_is_taken_within_each_round():
    # One round on a machine twice as slow: the ratio does not notice.
    found = paired_ratio((2.0, 4.0, 2.0), (1.0, 2.0, 1.0))
    assert found == Quartiles(median=2.0, low=2.0, high=2.0, rounds=3)


def test_measures_as_data_are_medians_by_name_and_their_quartiles():
    measures = {"gain": quartiles((1.0, 2.0, 3.0)), "cost": quartiles((4.0,))}
    assert as_plain_data(measures) == {
        "gain": 2.0,
        "cost": 4.0,
        "quartiles": {"gain": [1.5, 2.5], "cost": [4.0, 4.0]},
    }


def test_a_single_round_has_no_spread():
    assert quartiles((1.5,)) == Quartiles(median=1.5, low=1.5, high=1.5, rounds=1)


def test_rounds_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="zip"):
        paired_ratio((1.0, 2.0), (1.0,))
