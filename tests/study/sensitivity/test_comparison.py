"""The comparison with controls, the majority class, and intervals over test samples."""

from __future__ import annotations

from dataclasses import replace

import pytest

from study.records.errors import ReportError
from study.records.trial_table import TrialTable
from study.sensitivity import (
    COMPARED_METRICS,
    ArmSampleIntervals,
    MajorityClass,
    compare,
    majority_class,
    paired_difference,
    sample_intervals,
    t_interval,
    workloads,
)
from study.sensitivity.intervals import PairedDifference, correct_family
from tests.support.trial_tables import (
    constant_table,
    make_trial_table,
    with_arm,
    with_final_metrics,
    with_row,
)

BASE = (0.4, 0.5, 0.45)
RANDOM = (0.5, 0.52, 0.51)
OURS = (0.7, 0.72, 0.69)
TABLE = constant_table({"base": {0: BASE}, "random": {0: RANDOM}, "challenger": {5: OURS}})
METRIC = "test/accuracy"


def family(*differences: PairedDifference) -> tuple:
    return tuple(correct_family(dict(enumerate(differences))).values())


def test_each_arm_has_its_interval_and_its_corrected_difference_to_base():
    base, random, ours = compare(TABLE, [METRIC]).rows
    expected = family(paired_difference(RANDOM, BASE), paired_difference(OURS, BASE))
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
    assert (ours,) == family(paired_difference(OURS, RANDOM))


def test_all_test_metrics_and_the_filter_cosine_are_compared():
    comparison = compare(make_trial_table())
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
    with pytest.raises(KeyError):
        comparison.row("nobody")
    assert comparison.notes == (
        "arm 'challenger' must have trained its chosen configuration to the end, but that trial "
        "failed (out of memory); run 'challenger-study resume tiny-mnist-top-k'.",
    )


def test_a_metric_that_one_arm_lacks_is_named():
    comparison = compare(TABLE, [METRIC, "test/auc"])
    assert comparison.row("base").get("test/auc") is None
    assert comparison.notes[0].startswith("final trial 0 of arm 'base' must report test/auc")


def test_a_study_without_results_is_refused():
    message = (
        r"at least 2 replicas, but there is none \(arm 'base' needs at least 2 final replicas"
    )
    with pytest.raises(ReportError, match=message):
        compare(constant_table({"base": {0: (0.5,)}}), [METRIC])


def with_two_datasets() -> TrialTable:
    arm = replace(TABLE.arm("challenger"), name="other", dataset="reuters")
    row = replace(TABLE.rows[-1], arm="other")
    return replace(TABLE, arms=(*TABLE.arms, arm), rows=(*TABLE.rows, row))


VALUES = (0.36, 0.36, 0.36)


def texts(values: dict[str, tuple[float, ...]], domain: str = "text") -> TrialTable:
    table = constant_table({"base": {0: (0.4, 0.5, 0.45)}, "challenger": {5: (0.7, 0.72, 0.69)}})
    for arm in table.arms:
        table = with_arm(table, replace(arm, domain=domain))
    for name, found in values.items():
        table = with_final_metrics(table, name, {"test/majority_accuracy": found})
    return table


def majority_of(table: TrialTable) -> MajorityClass | None:
    return majority_class(table, workloads(table)[0])


def test_texts_have_the_majority_of_the_first_arm_that_has_a_result():
    expected = MajorityClass(replicas=VALUES)
    assert expected.interval == t_interval(VALUES)
    assert majority_of(texts({"base": VALUES, "challenger": (0.1, 0.2, 0.3)})) == expected
    table = texts({"base": (0.1, 0.2, 0.3), "challenger": VALUES})
    failed = replace(table.select("base", "final")[0], state="FAIL")
    assert majority_of(with_row(table, failed)) == expected


def test_there_is_none_without_a_result_of_two_replicas_or_of_other_domains():
    assert majority_of(texts({})) is None
    assert majority_of(texts({"base": (0.5,)})) is None
    for domain in ("image", "series"):
        assert majority_of(texts({"base": VALUES}, domain)) is None


METRICS = {
    "test/auc": (0.9, 0.8),
    "test/auc_classes": (9.0, 8.0),
    "test_bootstrap/accuracy/low": (0.30, 0.40),
    "test_bootstrap/accuracy/high": (0.50, 0.70),
    "test_bootstrap/auc/low": (0.85, 0.75),
    "test_bootstrap/auc/high": (0.95, 0.87),
    "test_bootstrap/resamples": (1000.0, 998.0),
}


def sampled() -> TrialTable:
    table = constant_table({"base": {0: (0.4, 0.5)}, "challenger": {5: (0.7, 0.72)}})
    return with_final_metrics(table, "challenger", METRICS)


def intervals_of(table: TrialTable) -> tuple[ArmSampleIntervals, ...]:
    return sample_intervals(table, workloads(table)[0])


def test_only_arms_that_have_them_are_given_with_the_fewest_resamples_and_most_classes_left_out():
    (found,) = intervals_of(sampled())
    assert (found.arm, found.method, found.n) == ("challenger", "challenger", 2)
    assert (found.resamples, found.n_classes, found.classes_left_out) == (998, 10, 2)


def test_points_and_ends_are_means_over_the_replicas():
    (found,) = intervals_of(sampled())
    assert [(one.metric, one.mean, one.low, one.high) for one in found.intervals] == [
        ("test/accuracy", *map(pytest.approx, (0.71, 0.35, 0.6))),
        ("test/auc", *map(pytest.approx, (0.85, 0.8, 0.91))),
    ]


def test_a_trial_that_is_not_complete_has_none():
    table = sampled()
    running = replace(table.select("challenger", "final")[0], state="RUNNING")
    assert intervals_of(with_row(table, running)) == ()


def test_an_incomplete_result_is_named():
    table = sampled()
    row = table.select("challenger", "final")[0]
    metrics = dict(row.reports[0].metrics)
    del metrics["test_bootstrap/auc/high"]
    broken = replace(row, reports=(replace(row.reports[0], metrics=metrics),))
    with pytest.raises(ReportError, match="must report test_bootstrap/auc/high, but has none"):
        intervals_of(with_row(table, broken))
