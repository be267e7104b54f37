from __future__ import annotations

from dataclasses import replace

import pytest

from study.errors import ReportError
from study.sensitivity import cosine_over_epochs, settings
from tests.study.factories import Shape, trial_table, without_rows

TABLE = trial_table(Shape(layers=2))
(SETTING,) = settings(TABLE)


def test_the_mean_comes_first_then_relative_to_chance_then_the_layers():
    record = cosine_over_epochs(TABLE, SETTING)
    assert [(one.layer, one.kind) for one in record.layers] == [
        ("mean", "filter_cosine"),
        ("conv1", "filter_cosine"),
        ("conv2", "filter_cosine"),
    ]
    assert [curve.arm for curve in record.layers[0].curves] == ["base", "random", "challenger"]
    assert record.replicas == (5,)


def test_a_curve_begins_at_initialisation_and_its_change_is_taken_replica_by_replica():
    record = cosine_over_epochs(TABLE, SETTING)
    row = TABLE.chosen("base")
    assert row is not None
    first, last = record.layers[1].curves[0].points
    start, end = (report.metrics["filter_cosine/conv1"] for report in row.reports)
    assert (first.epoch, last.epoch) == (0, 100)
    assert last.level.mean == pytest.approx(sum(end) / 5)
    assert first.change is not None
    assert (first.change.mean, first.change.width) == (0.0, 0.0)
    assert last.change is not None
    assert last.change.mean == pytest.approx(
        sum(b - a for a, b in zip(start, end, strict=True)) / 5
    )


def test_an_arm_without_a_result_is_named():
    record = cosine_over_epochs(without_rows(TABLE, ("random", "final", 0)), SETTING)
    assert [curve.arm for curve in record.layers[0].curves] == ["base", "challenger"]
    assert record.notes == (
        "arm 'random' must have trained its chosen configuration to the end, but that trial has "
        "not been started; run 'challenger-study resume tiny-mnist-top-k'.",
    )


def test_a_single_epoch_makes_no_curve():
    rows = tuple(replace(row, reports=row.reports[-1:]) for row in TABLE.rows)
    with pytest.raises(ReportError, match="reports it at two epochs, but there is none"):
        cosine_over_epochs(replace(TABLE, rows=rows), SETTING)
