"""What parent runs say of their arms, and final trials of being chosen."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

import pytest

from study.figures.theme import looks_by_arm
from study.records.trial_table import TrialTable
from study.sensitivity import t_interval
from study.tracking.arm_summary import arm_summary_records
from study.tracking.logged_metrics import logged_metrics
from study.tracking.record_types import LogMetrics, SetTags
from tests.support.trial_tables import (
    BEST,
    TableShape,
    make_trial_table,
    with_arm,
)

SHAPE = TableShape(replicas=3, sweep=(1, 5), search_trials=4, epochs=2)


def without_metrics(table: TrialTable, beginning: str) -> TrialTable:
    """Drop the metrics whose keys begin so."""
    rows = []
    for row in table.rows:
        reports = (
            {key: v for key, v in report.metrics.items() if not key.startswith(beginning)}
            for report in row.reports
        )
        kept = zip(row.reports, reports, strict=True)
        rows.append(replace(row, reports=tuple(replace(r, metrics=m) for r, m in kept)))
    return replace(table, rows=tuple(rows))


def metrics(table: TrialTable) -> dict[str, LogMetrics]:
    """Return the arms' results, by key of the run."""
    return {
        entry.run_key: entry
        for entry in arm_summary_records(table)
        if isinstance(entry, LogMetrics) and entry.name == "arm_summary"
    }


def test_an_arm_has_its_chosen_configurations_results_under_a_trials_own_keys() -> None:
    table = make_trial_table(SHAPE)
    chosen = table.chosen("challenger")
    assert chosen is not None
    found = metrics(table)["arm/challenger"].metrics
    for key in ("test/accuracy", "test/auc", "test/nll", "filter_cosine/mean"):
        assert found[key] == pytest.approx(statistics.fmean(chosen.last(key) or ()))
    interval = t_interval(chosen.last("test/accuracy") or ())
    ends = (found["test/accuracy_ci_low"], found["test/accuracy_ci_high"])
    assert ends == pytest.approx((interval.low, interval.high))


def test_an_arm_has_the_paired_difference_to_base_and_its_interval() -> None:
    table = make_trial_table(SHAPE)
    found = metrics(table)
    base = found["arm/base"].metrics
    arm = found["arm/challenger"].metrics
    difference = arm["test/accuracy"] - base["test/accuracy"]
    assert arm["test/accuracy_minus_base"] == pytest.approx(difference)
    low, high = (arm[f"test/accuracy_minus_base_ci_{end}"] for end in ("low", "high"))
    assert low < difference < high
    assert not any("minus_base" in key for key in base)


@pytest.mark.parametrize("swept", [(), ("top_k",), ("top_k", "alpha"), tuple(BEST)])
@pytest.mark.parametrize("layers", [0, 8, 20])
def test_an_arms_run_has_few_keys_and_the_main_metric_over_every_dimension(
    swept: tuple[str, ...], layers: int
) -> None:
    table = make_trial_table(replace(SHAPE, layers=max(layers, 1)))
    if not layers:
        table = without_metrics(table, "filter_cosine")
    arm = table.arm("challenger")
    table = with_arm(table, replace(arm, sweeps=dict.fromkeys(swept, (1, 5))))
    logged = logged_metrics(table)
    curves = {(curve.dimension, curve.metric) for curve in logged.curves}
    keys = [*logged.results, *logged.axes.values()]
    keys += [key for curve in logged.curves for key in curve.keys]
    assert len(keys) == len(set(keys)) <= 40
    for name in swept:
        assert (name, "test/accuracy") in curves
    if swept and layers:
        of_first = {metric for dimension, metric in curves if dimension == swept[0]}
        # The mean over the layers at least; all of them where there is room.
        assert logged.layers[0] in of_first
        assert set(logged.layers) <= of_first or layers * len(swept) > 40


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
        replace(row, reports=tuple(replace(r, usage={"trained_s": 0.5}) for r in row.reports))
        for row in table.rows
    )
    count = sum(len(row.reports) for row in table.rows if row.arm == "random")
    found = metrics(replace(table, rows=rows))["arm/random"].metrics
    assert found["cost/trained_s"] == pytest.approx(0.5 * count)
    assert "cost/trained_s" not in metrics(table)["arm/random"].metrics


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
    assert set(metrics(replace(table, rows=rows))) == {"arm/base", "arm/challenger"}


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
        if isinstance(entry, SetTags) and "is_chosen" in entry.tags
    }
    assert set(tags) == {
        f"trial/{r.arm}/final/{r.number}" for r in table.rows if r.phase == "final"
    }
    for row in table.select("challenger", "final"):
        is_chosen = str(dict(row.params) == BEST).lower()
        assert tags[f"trial/challenger/final/{row.number}"]["is_chosen"] == is_chosen


def test_runs_have_their_arms_color_of_the_reports_figures() -> None:
    looks = looks_by_arm((method, method) for method in ("base", "random", "challenger"))
    colors = {
        entry.run_key: entry.tags["mlflow.runColor"]
        for entry in arm_summary_records(make_trial_table(SHAPE))
        if isinstance(entry, SetTags) and "mlflow.runColor" in entry.tags
    }
    for arm, look in looks.items():
        of_arm = {color for key, color in colors.items() if arm in (key or "").split("/")}
        assert of_arm == {look.color}
