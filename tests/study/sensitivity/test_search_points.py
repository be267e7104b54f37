from __future__ import annotations

import statistics

import pytest

from study.errors import ReportError
from study.sensitivity import search_points
from tests.study.factories import Shape, trial_table

TABLE = trial_table()


def test_every_trial_with_a_value_is_a_point():
    found = search_points(TABLE, "challenger")
    assert [point.number for point in found.points] == [n for n in range(24) if n != 7]
    assert found.without_value == 1
    assert tuple(found.dimensions) == ("top_k", "n_features", "alpha", "beta", "split")


def test_the_best_is_the_best_that_completed():
    found = search_points(TABLE, "challenger")
    completed = {
        row.number: statistics.fmean(row.last("val/accuracy") or ())
        for row in TABLE.select("challenger", "search")
        if row.state == "COMPLETE"
    }
    assert found.best == max(completed, key=lambda number: completed[number])


def test_fewer_than_two_completed_trials_are_refused():
    with pytest.raises(ReportError, match="at least 2 completed search trials, but there are 1"):
        search_points(trial_table(Shape(search_trials=1)), "challenger")
