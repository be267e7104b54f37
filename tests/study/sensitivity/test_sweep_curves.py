"""Curves over one dimension, of one arm and of several."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from study.records.errors import ReportError
from study.records.trial_table import TrialTable
from study.sensitivity import (
    arm_curves,
    paired_difference,
    shared_sweeps,
    sweep_curve,
    swept_dimensions,
    t_interval,
)
from study.sensitivity.intervals import correct_family
from tests.support.trial_tables import (
    BEST,
    constant_table,
    make_trial_table,
    with_arm,
    with_row,
    without_rows,
)

BASE = (0.4, 0.5, 0.45)
RANDOM = (0.5, 0.52, 0.51)
CURVE = {5: (0.7, 0.72, 0.69), 1: (0.6, 0.66, 0.62), 10: (0.5, 0.58, 0.52)}
TABLE = constant_table({"base": {0: BASE}, "random": {0: RANDOM}, "challenger": CURVE})


def accuracy_curve(table: TrialTable):
    return sweep_curve(table, "challenger", "top_k", "test/accuracy")


def test_points_are_by_value_with_their_replicas_intervals_and_corrected_differences():
    curve = accuracy_curve(TABLE)
    values = {value: CURVE[value] for value in (1, 5, 10)}
    expected = correct_family({k: paired_difference(v, BASE) for k, v in values.items()})
    assert [point.value for point in curve.points] == [1, 5, 10]
    assert [point.replicas for point in curve.points] == list(values.values())
    assert [point.interval for point in curve.points] == [t_interval(v) for v in values.values()]
    assert {point.value: point.to_base for point in curve.points} == expected
    assert curve.points[0].to_base is not None
    assert curve.points[0].to_base.family == 3


def test_the_mean_over_all_values_is_compared_with_base_seed_by_seed():
    means = [sum(values) / 3 for values in zip(*CURVE.values(), strict=True)]
    found = accuracy_curve(TABLE).averaged
    assert found is not None
    expected = paired_difference(means, BASE)
    assert found.interval.mean == pytest.approx(expected.interval.mean)
    assert found.p_value == pytest.approx(expected.p_value)
    assert accuracy_curve(constant_table({"challenger": CURVE})).averaged is None
    last = list(accuracy_curve(TABLE).frame_rows())[-1]
    assert (last["is_averaged"], last["minus_base"], last["family"]) == (
        True,
        found.interval.mean,
        1,
    )


def test_a_curve_has_controls_chosen_value_and_fixed_params():
    curve = sweep_curve(make_trial_table(), "challenger", "top_k", "test/nll")
    assert [control.method for control in curve.controls] == ["base", "random"]
    assert curve.chosen == 5
    assert curve.fixed == {name: value for name, value in BEST.items() if name != "top_k"}
    assert curve.n == 5
    assert curve.direction == "minimize"
    assert curve.notes == ()


def test_replicas_are_paired_by_seed_and_not_by_position():
    base = next(row for row in TABLE.rows if row.arm == "base")
    turned = replace(
        base,
        seeds=base.seeds[::-1],
        reports=(replace(base.reports[0], metrics={"test/accuracy": BASE[::-1]}),),
    )
    shuffled = accuracy_curve(with_row(TABLE, turned))
    straight = accuracy_curve(TABLE)
    assert shuffled.points == straight.points


def test_trials_with_other_seeds_are_never_paired():
    base = next(row for row in TABLE.rows if row.arm == "base")
    with pytest.raises(ReportError) as caught:
        accuracy_curve(with_row(TABLE, replace(base, seeds=(1, 2, 3))))
    assert str(caught.value) == (
        "test/accuracy: pairs must share their replica seeds, but final trial 1 of arm "
        "'challenger' has [100, 101, 102] and final trial 0 of arm 'base' has [1, 2, 3]; train "
        "both with the same 'replicas.final' and resume the study."
    )


def test_points_list_their_replicas_in_the_order_of_the_curves_seeds():
    row = next(r for r in TABLE.rows if r.arm == "challenger" and r.number == 1)
    turned = replace(
        row,
        seeds=row.seeds[::-1],
        reports=(replace(row.reports[0], metrics={"test/accuracy": CURVE[1][::-1]}),),
    )
    curve = accuracy_curve(with_row(TABLE, turned))
    assert curve.seeds == (100, 101, 102)
    assert curve.points[0].replicas == CURVE[1]


def test_a_point_with_other_seeds_than_the_chosen_trial_is_refused():
    table = constant_table({"challenger": CURVE})
    row = next(r for r in table.rows if r.number == 1)
    with pytest.raises(ReportError, match="but the chosen trial of arm 'challenger' has"):
        sweep_curve(
            with_row(table, replace(row, seeds=(7, 8, 9))), "challenger", "top_k", "test/accuracy"
        )


def test_missing_and_failed_values_are_left_out_and_named():
    table = without_rows(TABLE, ("challenger", "final", 1))
    failed = next(r for r in table.rows if r.arm == "challenger" and r.number == 2)
    table = with_arm(table, replace(table.arm("challenger"), sweeps={"top_k": (1, 2, 5, 10)}))
    table = with_row(table, replace(failed, state="FAIL", reason="loss is not finite"))
    extra = replace(failed, number=3, params={"top_k": 2}, state="COMPLETE")
    curve = accuracy_curve(replace(table, rows=(*table.rows, extra)))
    assert [point.value for point in curve.points] == [2, 5]
    assert curve.notes == (
        "The trial at top_k = 1 has not been started.",
        "The trial at top_k = 10 failed (loss is not finite).",
    )


def test_a_metric_that_is_not_finite_at_one_value_leaves_out_that_value():
    row = next(r for r in TABLE.rows if r.arm == "challenger" and r.number == 1)
    bad = replace(row.reports[0], metrics={"test/accuracy": (0.1, float("nan"), 0.2)})
    curve = accuracy_curve(with_row(TABLE, replace(row, reports=(bad,))))
    assert [point.value for point in curve.points] == [5, 10]
    (note,) = curve.notes
    assert note.startswith("top_k = 1 is left out: final trial 1 of arm 'challenger'")
    assert "must be finite, but is nan for seed 101" in note


def test_without_base_there_is_a_note_instead_of_differences():
    curve = accuracy_curve(constant_table({"challenger": CURVE}))
    assert [point.to_base for point in curve.points] == [None, None, None]
    assert curve.controls == ()
    assert curve.notes == (
        "The study has no base arm on mnist (3 per class) with vgg11, width 0.25.",
        "The study has no random arm on mnist (3 per class) with vgg11, width 0.25.",
    )


def test_a_base_on_another_dataset_is_no_control():
    table = with_arm(TABLE, replace(TABLE.arm("base"), dataset="reuters"))
    curve = accuracy_curve(table)
    assert [control.method for control in curve.controls] == ["random"]
    assert curve.points[0].to_base is None


def test_values_that_are_texts_keep_the_files_order():
    table = constant_table({"challenger": {"lrp": (0.1, 0.2), "grad": (0.3, 0.4)}})
    curve = accuracy_curve(table)
    assert [point.value for point in curve.points] == ["lrp", "grad"]


def test_a_sweep_that_was_run_later_is_found_without_the_study_file():
    table = with_arm(TABLE, replace(TABLE.arm("challenger"), sweeps={}))
    assert swept_dimensions(table, table.arm("challenger")) == ("top_k",)
    assert len(accuracy_curve(table).points) == 3


WHOLE = make_trial_table()
UNFINISHED = with_arm(WHOLE, replace(WHOLE.arm("challenger"), best_params=None))
ONE_VALUE = without_rows(TABLE, ("challenger", "final", 1), ("challenger", "final", 2))
ONE_REPLICA = constant_table({"challenger": {1: (0.5,), 2: (0.6,)}})


@pytest.mark.parametrize(
    ("table", "arm", "dimension", "message"),
    [
        (WHOLE, "challenger", "alpha", "'challenger-study sensitivity tiny-mnist-top-k --over al"),
        (WHOLE, "random", "top_k", "but searches n_features, alpha, beta, split; name one of"),
        (TABLE, "chalenger", "top_k", "has no arm 'chalenger'; did you mean 'challenger'?"),
        (ONE_REPLICA, "challenger", "top_k", "at least 2 replicas, but there is only 1"),
        (ONE_VALUE, "challenger", "top_k", "needs at least 2 completed values, but 1 completed"),
        (UNFINISHED, "challenger", "top_k", "nothing is chosen yet (18 search trials completed)"),
    ],
)
def test_a_curve_that_cannot_be_is_refused(table, arm, dimension, message):
    with pytest.raises(ReportError, match=re.escape(message)):
        sweep_curve(table, arm, dimension, "test/accuracy")


def two_datasets() -> TrialTable:
    """Make a study of two datasets whose challenger arms both sweep K."""
    tables = [make_trial_table(seed=0), make_trial_table(seed=1)]
    arms, rows = [], []
    for table, data in zip(tables, ("digits", "letters"), strict=True):
        arms += [replace(a, name=f"{data}-{a.name}", dataset=data) for a in table.arms]
        rows += [replace(row, arm=f"{data}-{row.arm}") for row in table.rows]
    return replace(tables[0], arms=tuple(arms), rows=tuple(rows))


def test_only_a_dimension_that_several_arms_sweep_is_shared():
    assert shared_sweeps(two_datasets()) == {"top_k": ("digits-challenger", "letters-challenger")}
    assert shared_sweeps(make_trial_table()) == {}


def test_each_arm_has_its_own_curve_of_each_metric():
    table = two_datasets()
    found = arm_curves(table, "top_k", ("test/accuracy", "test/auc"))
    assert found.metrics == ("test/accuracy", "test/auc")
    for metric, curves in zip(found.metrics, found.curves, strict=True):
        assert curves == tuple(
            sweep_curve(table, arm, "top_k", metric)
            for arm in ("digits-challenger", "letters-challenger")
        )


def test_a_metric_that_no_arm_reports_is_noted():
    found = arm_curves(two_datasets(), "top_k", ("test/accuracy", "test/f1"))
    assert found.metrics == ("test/accuracy",)
    assert any("test/f1" in note for note in found.notes)


def test_a_single_arm_is_refused():
    with pytest.raises(ReportError, match="needs 2 arms with a curve, but there are 0"):
        arm_curves(make_trial_table(), "top_k", ("test/accuracy",))
