"""Arms against their controls, exactly."""

from dataclasses import replace

import pytest

from study.errors import ReportError
from study.sensitivity import COMPARED_METRICS, compare, correct, paired_difference, t_interval
from study.trial_table import TrialTable
from tests.study.factories import hand_made, trial_table, with_arm, with_row

BASE = (0.4, 0.5, 0.45)
RANDOM = (0.5, 0.52, 0.51)
OURS = (0.7, 0.72, 0.69)
TABLE = hand_made({"base": {0: BASE}, "random": {0: RANDOM}, "challenger": {5: OURS}})
METRIC = "test/accuracy"


def test_each_arm_has_its_interval_and_its_corrected_difference_to_base():
    base, random, ours = compare(TABLE, [METRIC]).rows
    expected = correct([paired_difference(RANDOM, BASE), paired_difference(OURS, BASE)])
    assert [row.measurements[0].interval for row in (base, random, ours)] == [
        t_interval(values) for values in (BASE, RANDOM, OURS)
    ]
    assert base.measurements[0].to_control is None
    assert (random.measurements[0].to_control, ours.measurements[0].to_control) == expected
    assert ours.params == {"top_k": 5}


def test_against_random_base_is_not_compared_a_second_time():
    comparison = compare(TABLE, [METRIC], against="random")
    base, random, ours = (row.measurements[0].to_control for row in comparison.rows)
    assert base is None
    assert random is None
    assert (ours,) == correct([paired_difference(OURS, RANDOM)])


def test_all_test_metrics_and_the_filter_cosine_are_compared():
    comparison = compare(trial_table())
    assert comparison.metrics == COMPARED_METRICS
    for row in comparison.rows:
        assert tuple(m.metric for m in row.measurements) == COMPARED_METRICS
    assert comparison.notes == ()


def test_arms_of_another_dataset_are_another_family():
    table = with_two_datasets()
    here, there = compare(table, [METRIC]).row("challenger"), compare(table, [METRIC]).row("other")
    assert here.measurements[0].to_control is not None
    assert here.measurements[0].to_control.family == 2
    assert there.measurements[0].to_control is None
    assert compare(table, [METRIC]).notes == (
        "The study has no base arm on reuters with vgg11, width 0.25.",
    )


def test_an_arm_without_results_keeps_its_row_and_a_note():
    failed = replace(TABLE.rows[-1], state="FAIL", reason="out of memory")
    comparison = compare(with_row(TABLE, failed), [METRIC])
    assert comparison.row("challenger").measurements == ()
    assert comparison.notes == (
        "arm 'challenger' must have trained its chosen configuration to the end, but that trial "
        "failed (out of memory); run 'challenger-study resume tiny-mnist-top-k'.",
    )


def test_a_metric_that_one_arm_lacks_is_named():
    comparison = compare(TABLE, [METRIC, "test/auc"])
    assert comparison.row("base").get("test/auc") is None
    assert comparison.notes[0] == (
        "final trial 0 of arm 'base' must report test/auc, but has none at any epoch; "
        "name another metric or resume the study."
    )


def test_a_study_without_results_is_refused():
    table = with_arm(hand_made({"base": {0: (0.5,)}}), hand_made({"base": {0: (0.5,)}}).arms[0])
    with pytest.raises(ReportError) as caught:
        compare(table, [METRIC])
    assert str(caught.value) == (
        "study 'tiny-mnist-top-k': a comparison needs an arm with a completed final trial of at "
        "least 2 replicas, but there is none (arm 'base' needs at least 2 final replicas for an "
        "interval, but has 1; set 'replicas.final' to 2 or more and resume the study.)"
    )


def test_an_unknown_row_is_a_key_error():
    with pytest.raises(KeyError):
        compare(TABLE, [METRIC]).row("nobody")


def with_two_datasets() -> TrialTable:
    arm = replace(TABLE.arm("challenger"), name="other", dataset="reuters")
    row = replace(TABLE.rows[-1], arm="other")
    return replace(TABLE, arms=(*TABLE.arms, arm), rows=(*TABLE.rows, row))
