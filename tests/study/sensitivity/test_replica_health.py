"""Replicas at chance, what intervals do not cover, and chosen values at the edge of a range."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from search_spaces import FloatDimension, IntDimension
from study.sensitivity import compare, not_covered, range_edges, seeds_at_chance, sweep_curve
from study.sensitivity.comparison import Measurement
from tests.support.trial_tables import (
    AXES,
    BEST,
    constant_table,
    make_trial_table,
    with_arm,
    with_final_metrics,
)

# 500 samples of ten classes: guessing has at most 66 right with 99 %.
ACCURACIES = (0.10, 0.132, 0.134, 0.55)
TABLE = constant_table({"base": {0: ACCURACIES}, "challenger": {5: (0.5,) * 4, 8: ACCURACIES}})


def with_samples(majority=0.1):
    table = TABLE
    for name in ("base", "challenger"):
        metrics = {"test/samples": (500.0,) * 4, "test/majority_accuracy": (majority,) * 4}
        table = with_final_metrics(table, name, metrics)
    return table


def chance_of(table, arm="base"):
    return seeds_at_chance(table.arm(arm), table.chosen(arm))


def test_replicas_within_the_binomial_bound_of_guessing_are_at_chance():
    assert stats.binom.ppf(0.99, 500, 0.1) == 66
    assert chance_of(with_samples()) == (100, 101)
    assert chance_of(with_samples(), "challenger") == ()
    # Always predicting the most frequent class is chance too.
    assert chance_of(with_samples(majority=0.5)) == (100, 101, 102, 103)


def test_without_the_number_of_samples_and_of_several_labels_nothing_is_flagged():
    assert chance_of(TABLE) == ()
    several = with_arm(with_samples(), replace(TABLE.arm("base"), is_multi_label=True))
    assert chance_of(several) == ()


def test_guessing_replicas_are_flagged_in_99_of_100_and_learning_ones_never():
    rng = np.random.default_rng(0)
    for share, low, high in ((0.1, 0.98, 1.0), (0.2, 0.0, 0.005)):
        drawn = tuple(rng.binomial(500, share, 2000) / 500)
        table = constant_table({"base": {0: drawn}})
        metrics = {"test/samples": (500.0,) * 2000, "test/majority_accuracy": (0.1,) * 2000}
        found = chance_of(with_final_metrics(table, "base", metrics))
        assert low <= len(found) / 2000 <= high


def test_comparison_and_curve_name_them_beside_median_and_interquartile_mean():
    comparison = compare(with_samples(), ["test/accuracy"])
    base = comparison.row("base")
    assert (base.at_chance, comparison.row("challenger").at_chance) == ((100, 101), ())
    assert base.measurements[0].median == pytest.approx(0.133)
    assert base.measurements[0].interquartile_mean == pytest.approx((0.132 + 0.134) / 2)
    frame = comparison.to_frame()
    assert frame["seeds_at_chance"].fillna("none").tolist() == ["100; 101", "none"]
    assert frame["median"].tolist() == pytest.approx([0.133, 0.5])
    assert set(frame["not_covered"]) == {"training images; test images"}
    table = with_samples()
    swept = next(row for row in table.rows if row.number == 1)
    metrics = {**swept.reports[0].metrics, "test/samples": (500.0,) * 4}
    metrics["test/majority_accuracy"] = (0.1,) * 4
    swept = replace(swept, reports=(replace(swept.reports[0], metrics=metrics),))
    rows = tuple(swept if row.number == 1 else row for row in table.rows)
    curve = sweep_curve(replace(table, rows=rows), "challenger", "top_k", "test/accuracy")
    assert [point.at_chance for point in curve.points] == [(), (100, 101)]


@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 11])
def test_the_interquartile_mean_is_that_of_the_middle_half(n):
    values = tuple(np.random.default_rng(n).random(n).tolist())
    found = Measurement(metric="test/accuracy", replicas=values, to_control=None)
    assert found.interquartile_mean == pytest.approx(np.mean(sorted(values)[n // 4 : n - n // 4]))


def test_an_interval_over_replicas_does_not_cover_what_they_share():
    arm = TABLE.arm("base")
    assert not_covered(arm) == ("training images", "test images")
    assert not_covered(replace(arm, draws_subset=True)) == ("test images",)
    assert not_covered(replace(arm, domain="text"))[0] == "training texts"


def edges_of(dimension, axis, value, wider=(0.01, 100.0), **changes: str | None):
    table = make_trial_table()
    arm = replace(
        table.arm("challenger"),
        dimensions={**AXES, dimension: axis},
        best_params={**BEST, dimension: value},
        wider={dimension: wider},
        **changes,
    )
    return [one for one in range_edges(with_arm(table, arm)).values if one.dimension == dimension]


@pytest.mark.parametrize(
    ("axis", "value", "edge"),
    [
        (FloatDimension(low=0.0, high=2.0), 0.1, "low"),
        (FloatDimension(low=0.0, high=2.0), 0.11, None),
        (FloatDimension(low=0.0, high=2.0), 1.95, "high"),
        (FloatDimension(low=1e-4, high=1.0, log=True), 1.5e-4, "low"),
        (FloatDimension(low=1e-4, high=1.0, log=True), 0.05, None),
        (IntDimension(low=1, high=10), 1, "low"),
        (IntDimension(low=1, high=10), 2, None),
        (IntDimension(low=1, high=10), 10, "high"),
        (FloatDimension(low=0.5, high=0.5), 0.5, None),
    ],
)
def test_a_value_within_5_percent_of_an_end_is_at_the_edge(axis, value, edge):
    found = edges_of("alpha", axis, value)
    assert [one.edge for one in found] == ([] if edge is None else [edge])
    if found:
        assert found[0].wider == ((0.01, axis.high) if edge == "low" else (axis.low, 100.0))


def test_where_nothing_legal_lies_beyond_or_the_choice_is_anothers_nothing_is_said():
    axis = FloatDimension(low=0.0, high=2.0)
    assert edges_of("alpha", axis, 2.0, wider=(None, None)) == []
    assert edges_of("alpha", axis, 2.0, like="random") == []
    (one,) = edges_of("alpha", axis, 2.0, group="both")
    assert (one.arm, one.value, one.position) == ("challenger", 2.0, 1.0)
    assert range_edges(make_trial_table()).to_frame().empty
