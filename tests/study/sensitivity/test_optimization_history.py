"""Objective over the trials of a search, and its points."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest

from study.records.errors import ReportError
from study.records.trial_table import TrialState
from study.sensitivity import HistoryPoint, search_history, search_points
from tests.support.trial_tables import TableShape, constant_table, final_row, make_trial_table

STATES: tuple[TrialState, ...] = ("COMPLETE", "PRUNED", "FAIL", "COMPLETE", "COMPLETE", "RUNNING")
VALUES = (0.5, 0.9, None, 0.4, 0.7, None)


def table(direction="maximize"):
    made = constant_table({"challenger": {1: (0.1, 0.2)}})
    rows = []
    for number, (state, value) in enumerate(zip(STATES, VALUES, strict=True)):
        row = final_row("challenger", number, {"top_k": 1}, {"val/accuracy": (0.0, 0.0)})
        metrics = {} if value is None else {"val/accuracy": (value - 0.1, value + 0.1)}
        rows.append(
            replace(
                row,
                phase="search",
                state=state,
                value=value if state == "COMPLETE" else None,
                reason="diverged" if state == "FAIL" else None,
                reports=(replace(row.reports[0], metrics=metrics),),
            )
        )
    return replace(made, rows=tuple(rows), direction=direction)


def test_only_completed_trials_can_be_the_best_so_far():
    history = search_history(table(), "challenger")
    assert [point.best for point in history.points] == [0.5, 0.5, 0.5, 0.5, 0.7, 0.7]
    assert history.points[1] == HistoryPoint(
        number=1,
        state="PRUNED",
        value=pytest.approx(0.9),
        deviation=pytest.approx(0.2 / 2**0.5),
        best=0.5,
    )


def test_a_minimized_objective_has_the_least_as_best():
    history = search_history(table("minimize"), "challenger")
    assert [point.best for point in history.points] == [0.5, 0.5, 0.5, 0.4, 0.4, 0.4]


def test_trials_are_counted_by_state_and_failures_have_reasons():
    history = search_history(table(), "challenger")
    counts = [history.count(s) for s in ("COMPLETE", "PRUNED", "FAIL", "RUNNING")]
    assert counts == [3, 1, 1, 1]
    assert history.reasons == {2: "diverged"}
    assert history.points[2].value is None


def test_an_arm_without_dimensions_has_no_history():
    with pytest.raises(ReportError) as caught:
        search_history(make_trial_table(), "base")
    assert str(caught.value) == ("arm 'base' has no search trials: its method has no dimensions.")


def test_a_search_that_has_not_begun_names_the_command():
    with pytest.raises(ReportError) as caught:
        search_history(constant_table({"challenger": {1: (0.1, 0.2)}}), "challenger")
    assert str(caught.value) == (
        "arm 'challenger' has no search trials; run 'challenger-study resume tiny-mnist-top-k'."
    )


TABLE = make_trial_table()


def test_every_trial_with_a_value_is_a_point():
    found = search_points(TABLE, "challenger")
    assert [point.number for point in found.points] == [n for n in range(24) if n != 7]
    assert found.n_without_value == 1
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
        search_points(make_trial_table(TableShape(search_trials=1)), "challenger")
