from __future__ import annotations

from dataclasses import replace

import pytest

from study.errors import ReportError
from study.sensitivity import arm_curves, over_dimension, shared_sweeps
from study.trial_table import TrialTable
from tests.study.factories import trial_table


def two_datasets() -> TrialTable:
    """Make a study of two datasets whose challenger arms both sweep K."""
    tables = [trial_table(seed=0), trial_table(seed=1)]
    arms, rows = [], []
    for table, data in zip(tables, ("digits", "letters"), strict=True):
        arms += [replace(a, name=f"{data}-{a.name}", dataset=data) for a in table.arms]
        rows += [replace(row, arm=f"{data}-{row.arm}") for row in table.rows]
    return replace(tables[0], arms=tuple(arms), rows=tuple(rows))


def test_only_a_dimension_that_several_arms_sweep_is_shared():
    assert shared_sweeps(two_datasets()) == {"top_k": ("digits-challenger", "letters-challenger")}
    assert shared_sweeps(trial_table()) == {}


def test_each_arm_has_its_own_curve_of_each_metric():
    table = two_datasets()
    found = arm_curves(table, "top_k", ("test/accuracy", "test/auc"))
    assert found.metrics == ("test/accuracy", "test/auc")
    for metric, curves in zip(found.metrics, found.curves, strict=True):
        assert curves == tuple(
            over_dimension(table, arm, "top_k", metric)
            for arm in ("digits-challenger", "letters-challenger")
        )


def test_a_metric_that_no_arm_reports_is_left_out_and_said():
    found = arm_curves(two_datasets(), "top_k", ("test/accuracy", "test/f1"))
    assert found.metrics == ("test/accuracy",)
    assert any("test/f1" in note for note in found.notes)


def test_a_single_arm_is_refused():
    with pytest.raises(ReportError, match="needs 2 arms with a curve, but there are 0"):
        arm_curves(trial_table(), "top_k", ("test/accuracy",))
