"""The sensitivity as points of MLflow's metrics: values, intervals, levels of controls, steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from search_spaces import CategoricalDimension
from study.records.trial_table import ParamValue, TrialTable
from study.sensitivity import t_interval
from study.tracking.logged_metrics import logged_metrics
from study.tracking.record_types import LogMetrics, SetTags
from study.tracking.sweep_points import sweep_records
from tests.support.trial_tables import constant_table, with_arm

PREFIX = "sensitivity/top_k/test_accuracy"
BASE = (0.25, 0.5)
CURVE: dict[ParamValue, tuple[float, ...]] = {3: (0.5, 0.75), 1: (0.25, 0.375), 10: (0.5, 0.5)}


def study(values: Mapping[ParamValue, tuple[float, ...]] = CURVE) -> TrialTable:
    return constant_table({"base": {0: BASE}, "challenger": values})


def points(table: TrialTable, run: str, axis: str = "top_k") -> dict[float, LogMetrics]:
    """Return a run's points of the curve as MLflow joins them: by the step that axis has too."""
    logged = [
        record
        for record in sweep_records(table, logged_metrics(table))
        if isinstance(record, LogMetrics) and record.run_key == f"arm/{run}"
    ]
    assert len({record.epoch for record in logged}) == len(logged)
    return {record.metrics[axis]: record for record in logged if axis in record.metrics}


def test_an_arm_has_every_swept_value_with_mean_and_interval() -> None:
    found = points(study(), "challenger")
    assert list(found) == [1.0, 3.0, 10.0]
    for value, replicas in CURVE.items():
        interval = t_interval(replicas)
        metrics = found[float(value)].metrics
        logged = [metrics[f"{PREFIX}{end}"] for end in ("", "_ci_low", "_ci_high")]
        assert logged == pytest.approx([interval.mean, interval.low, interval.high])


def test_a_control_has_its_level_at_every_value() -> None:
    levels = points(study(), "base")
    assert list(levels) == [1.0, 3.0, 10.0]
    assert {point.metrics[PREFIX] for point in levels.values()} == {0.375}


def test_a_sweep_that_grows_keeps_the_points_it_has() -> None:
    more = {**CURVE, 2: (0.5, 0.5)}
    for run in ("base", "challenger"):
        before, after = points(study(), run), points(study(more), run)
        assert after.keys() == before.keys() | {2.0}
        for value, point in before.items():
            assert after[value] == point


def test_points_of_an_earlier_choice_have_no_partner_on_the_axis() -> None:
    table = study()
    best = table.arm("challenger").best_params
    rows = []
    for row in table.rows:
        if row.arm == "challenger":
            old = replace(row, params={**row.params, "alpha": 0.5})
            new = replace(row, params={**row.params, "alpha": 0.9}, number=row.number + 3)
            rows += [old, new]
        else:
            rows.append(row)
    arm = replace(table.arm("challenger"), best_params={**(best or {}), "alpha": 0.9})
    table = with_arm(replace(table, rows=tuple(rows)), arm)
    axis = logged_metrics(table).axes["top_k"]
    assert axis == "top_k of final 0-3"
    again = points(table, "challenger", axis)
    assert list(again) == [1.0, 3.0, 10.0]
    old_steps = {point.epoch for point in points(study(), "challenger").values()}
    assert old_steps.isdisjoint(point.epoch for point in again.values())


def test_choices_are_numbered_and_named_on_the_axis() -> None:
    table = study({"never": (0.5, 0.75), "class": (0.25, 0.5)})
    arm = table.arm("challenger")
    axis = CategoricalDimension(choices=("class", "never"))
    table = with_arm(table, replace(arm, dimensions={"top_k": axis}))
    found = points(table, "challenger", "top_k 1-class 2-never")
    assert {x: point.metrics[PREFIX] for x, point in found.items()} == {2.0: 0.625, 1.0: 0.375}


def test_final_trials_know_whether_they_are_of_a_sweep_and_their_value_as_a_number() -> None:
    table = study()
    records = list(sweep_records(table, logged_metrics(table)))
    tags = {r.run_key: r.tags for r in records if isinstance(r, SetTags)}
    values = {
        record.run_key: record.metrics["top_k"]
        for record in records
        if isinstance(record, LogMetrics) and (record.run_key or "").startswith("trial/")
    }
    keys = [f"trial/challenger/final/{number}" for number in range(3)]
    assert tags == {key: {"over/top_k": "true"} for key in keys}
    assert values == dict(zip(keys, (3.0, 1.0, 10.0), strict=True))


def test_a_study_without_sweeps_or_with_one_replica_has_no_points() -> None:
    table = study({3: (0.5, 0.75)})
    assert not list(sweep_records(table, logged_metrics(table)))
    assert not points(study({3: (0.5,), 1: (0.25,)}), "challenger")
