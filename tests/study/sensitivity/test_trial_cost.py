from __future__ import annotations

from dataclasses import replace

import pytest

from study.records.errors import ReportError
from study.records.trial_table import TrialTable
from study.sensitivity import cost
from tests.support.trial_tables import make_trial_table, with_resource_usage


def measured() -> TrialTable:
    return with_resource_usage(make_trial_table(), trained_s=360.0, cpu_s=720.0, gpu_s=180.0)


def test_hours_are_added_up_by_arm_phase_and_state():
    found = cost(measured())
    rows = {(row.arm, row.phase, row.state): row for row in found.rows}
    completed = rows["challenger", "search", "COMPLETE"]
    assert (completed.trials, completed.hours) == (18, pytest.approx(1.8))
    assert completed.cpu_hours == pytest.approx(3.6)
    assert completed.gpu_hours == pytest.approx(0.9)
    # It failed before its first report.
    assert rows["challenger", "search", "FAIL"].hours == 0.0
    # A final trial has two reports.
    assert rows["base", "final", "COMPLETE"].hours == pytest.approx(0.2)


def test_the_whole_is_the_sum_of_its_parts():
    found = cost(measured())
    assert found.cpu_hours == pytest.approx(2 * sum(row.hours for row in found.rows))
    assert found.gpu_hours == pytest.approx(sum(row.hours for row in found.rows) / 2)
    assert found.unmeasured == 0


def test_trials_without_usage_are_counted():
    table = measured()
    bare = replace(table.rows[0], reports=make_trial_table().rows[0].reports)
    assert cost(replace(table, rows=(bare, *table.rows[1:]))).unmeasured == 1


def test_a_study_without_usage_has_no_cost():
    with pytest.raises(ReportError, match="needs trials that report their usage, but none of"):
        cost(make_trial_table())
