"""What parent runs say of their arms, and final trials of being chosen."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

import pytest

from study.records.trial_table import TrialTable
from study.tracking.arm_summary import arm_summary_records
from study.tracking.record_types import LogMetrics, SetTags
from tests.support.trial_tables import BEST, TableShape, make_trial_table

SHAPE = TableShape(replicas=3, sweep=(1, 5), search_trials=4, epochs=2)


def metrics(table: TrialTable) -> dict[str, LogMetrics]:
    found = [entry for entry in arm_summary_records(table) if isinstance(entry, LogMetrics)]
    return {entry.run_key: entry for entry in found}


def test_an_arm_has_its_chosen_configurations_results_under_a_trials_own_keys() -> None:
    table = make_trial_table(SHAPE)
    chosen = table.chosen("challenger")
    assert chosen is not None
    values = chosen.last("test/accuracy")
    assert values is not None
    found = metrics(table)["arm/challenger"].metrics
    assert found["test/accuracy"] == pytest.approx(statistics.fmean(values))
    assert found["test/accuracy_std"] == pytest.approx(statistics.stdev(values))
    assert found["replicas"] == 3
    keys = {key for report in chosen.reports for key in report.metrics}
    assert keys <= set(found)


def test_an_arm_has_the_interval_of_its_mean_and_the_paired_difference_to_base() -> None:
    found = metrics(make_trial_table(SHAPE))
    arm = found["arm/challenger"].metrics
    assert arm["test/accuracy_ci_low"] < arm["test/accuracy"] < arm["test/accuracy_ci_high"]
    base = found["arm/base"].metrics
    difference = arm["test/accuracy"] - base["test/accuracy"]
    assert arm["test/accuracy_minus_base"] == pytest.approx(difference)
    assert "test/accuracy_minus_base" not in base


def test_the_best_search_trial_is_the_one_with_the_best_objective_in_its_direction() -> None:
    table = make_trial_table(SHAPE)
    search = table.select("challenger", "search")
    for direction, best in (("maximize", max), ("minimize", min)):
        turned = replace(table, direction=direction)
        found = metrics(turned)["arm/challenger"].metrics["best/val/accuracy"]
        expected = best(row.value for row in search if row.value is not None)
        assert found == pytest.approx(expected)
    assert "best/val/accuracy" not in metrics(table)["arm/base"].metrics


def test_an_arm_costs_what_its_trials_used() -> None:
    table = make_trial_table(SHAPE)
    rows = tuple(
        replace(row, reports=tuple(replace(r, usage={"cpu_s": 0.5}) for r in row.reports))
        for row in table.rows
    )
    count = sum(len(row.reports) for row in table.rows if row.arm == "random")
    found = metrics(replace(table, rows=rows))["arm/random"].metrics
    assert found["cost/cpu_s"] == pytest.approx(0.5 * count)
    assert "cost/cpu_s" not in metrics(table)["arm/random"].metrics


def test_a_study_that_goes_on_adds_a_point_instead_of_contradicting_one() -> None:
    table = make_trial_table(SHAPE)
    *earlier, last = table.rows
    assert (last.arm, last.phase) == ("challenger", "final")
    running = replace(last, state="RUNNING", finished_ms=None, value=None, reports=())
    before, after = metrics(replace(table, rows=(*earlier, running))), metrics(table)
    # What one arm's trial changes may be another's difference: all of them get a new point.
    for key in after:
        assert after[key].epoch == before[key].epoch + 1 == len(table.rows)


def test_an_arm_without_ended_trials_says_nothing() -> None:
    table = make_trial_table(SHAPE)
    rows = tuple(
        replace(row, state="RUNNING", finished_ms=None) if row.arm == "random" else row
        for row in table.rows
    )
    entries = list(arm_summary_records(replace(table, rows=rows)))
    assert {entry.run_key for entry in entries if isinstance(entry, LogMetrics)} == {
        "arm/base",
        "arm/challenger",
    }


def test_a_study_without_a_comparison_still_says_what_it_has() -> None:
    table = make_trial_table(replace(SHAPE, replicas=1))
    found = metrics(table)["arm/challenger"].metrics
    assert math.isfinite(found["test/accuracy"])
    assert not any("_ci_" in key or key == "test/accuracy_std" for key in found)


def test_each_final_trial_says_whether_it_is_the_chosen_one() -> None:
    table = make_trial_table(SHAPE)
    tags = {
        entry.run_key: entry.tags
        for entry in arm_summary_records(table)
        if isinstance(entry, SetTags)
    }
    assert set(tags) == {
        f"trial/{r.arm}/final/{r.number}" for r in table.rows if r.phase == "final"
    }
    for row in table.select("challenger", "final"):
        is_chosen = str(dict(row.params) == BEST).lower()
        assert tags[f"trial/challenger/final/{row.number}"] == {"is_chosen": is_chosen}
