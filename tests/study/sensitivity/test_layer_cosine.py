"""Filter cosine per layer, over a dimension and over the epochs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from study.records.errors import ReportError
from study.records.trial_table import StoredReport
from study.sensitivity import (
    cosine_over_epochs,
    filter_cosine,
    filter_cosine_over_dimension,
    t_interval,
    workloads,
)
from tests.support.trial_tables import (
    TableShape,
    constant_table,
    make_trial_table,
    with_arm,
    with_row,
    without_rows,
)

LAYERS = ("conv1", "conv2", "conv10", "mean")


def table():
    made = constant_table({"base": {0: (0.4, 0.5)}})
    metrics = {
        0: {f"filter_cosine/{layer}": (0.0, 0.02) for layer in LAYERS},
        9: {
            **{f"filter_cosine/{layer}": (0.1, 0.3) for layer in reversed(LAYERS)},
            "filter_cosine_pair_std/conv2": (0.2, 0.4),
            "filter_cosine_relative/conv2": (1.5, 2.5),
            "test/accuracy": (0.4, 0.5),
        },
    }
    reports = tuple(StoredReport(epoch=e, time_ms=e, metrics=m) for e, m in metrics.items())
    return with_row(made, replace(made.rows[0], reports=reports))


def test_each_layer_has_its_trained_and_initial_cosine_by_number_with_the_mean_last():
    made = table()
    (arm,) = filter_cosine(made, workloads(made)[0]).arms
    assert tuple(layer.layer for layer in arm.layers) == LAYERS
    assert {layer.last for layer in arm.layers} == {t_interval((0.1, 0.3))}
    assert {layer.initial for layer in arm.layers} == {t_interval((0.0, 0.02))}
    assert arm.epoch == 9
    assert arm.accuracy == t_interval((0.4, 0.5))


def test_spread_over_pairs_and_relative_size_are_given_where_reported():
    made = table()
    conv1, conv2, *_ = filter_cosine(made, workloads(made)[0]).arms[0].layers
    assert conv2.pair_std == pytest.approx(0.3)
    assert conv2.relative == t_interval((1.5, 2.5))
    assert (conv1.pair_std, conv1.relative) == (None, None)


def test_without_epoch_0_there_is_no_initial_cosine():
    made = table()
    row = replace(made.rows[0], reports=made.rows[0].reports[1:])
    record = filter_cosine(with_row(made, row), workloads(made)[0])
    assert [layer.initial for layer in record.arms[0].layers] == [None] * 4


def test_over_a_dimension_each_layer_is_a_curve():
    record = filter_cosine_over_dimension(
        make_trial_table(TableShape(layers=2)), "challenger", "top_k"
    )
    assert [curve.metric for curve in record.curves] == [
        "filter_cosine/conv1",
        "filter_cosine/conv2",
        "filter_cosine/mean",
    ]
    assert all(len(curve.points) == 10 for curve in record.curves)
    assert {curve.direction for curve in record.curves} == {"minimize"}


def test_a_model_without_convolutions_is_refused():
    table = constant_table({"challenger": {1: (0.1, 0.2), 2: (0.2, 0.3)}})
    with pytest.raises(ReportError, match="final trial 0 of arm 'challenger' must report filter_"):
        filter_cosine_over_dimension(table, "challenger", "top_k")


def test_an_unfinished_arm_is_named_and_the_rest_is_shown():
    made = make_trial_table()
    made = with_arm(made, replace(made.arm("random"), best_params=None))
    record = filter_cosine(made, workloads(made)[0])
    assert [arm.arm for arm in record.arms] == ["base", "challenger"]
    assert len(record.notes) == 1
    assert record.notes[0].startswith("arm 'random' must have finished its search")


def test_no_arm_at_all_is_refused():
    made = with_arm(table(), replace(table().arms[0], best_params=None))
    with pytest.raises(
        ReportError, match=r"filter cosine on mnist .* needs an arm with a completed"
    ):
        filter_cosine(made, workloads(made)[0])


TABLE = make_trial_table(TableShape(layers=2))
(SETTING,) = workloads(TABLE)


def test_the_mean_comes_first_then_relative_to_chance_then_the_layers():
    record = cosine_over_epochs(TABLE, SETTING)
    assert [(one.layer, one.kind) for one in record.layers] == [
        ("mean", "filter_cosine"),
        ("conv1", "filter_cosine"),
        ("conv2", "filter_cosine"),
    ]
    assert [curve.arm for curve in record.layers[0].curves] == ["base", "random", "challenger"]
    assert record.replicas == (5,)


def test_a_curve_begins_at_initialization_and_its_change_is_taken_replica_by_replica():
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
