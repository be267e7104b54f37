"""The verdict of a study, with the test that it rests on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from search_spaces import FloatDimension
from study.records.trial_table import OpenTrials, StoredReport, TrialTable
from study.report.verdict import verdict
from study.sensitivity import compare, detectable_difference
from tests.support.trial_tables import constant_table, make_trial_table, with_arm, with_row

BASE = (0.40, 0.41, 0.42, 0.43)
ABOVE = (0.50, 0.52, 0.51, 0.53)
AROUND = (0.38, 0.44, 0.41, 0.45)


def table_of(challenger: tuple[float, ...], random: tuple[float, ...]) -> TrialTable:
    return constant_table(
        {"base": {0: BASE}, "random": {0: random}, "challenger": {5: challenger, 1: challenger}}
    )


@pytest.mark.parametrize(
    ("challenger", "random", "says"),
    [
        (
            ABOVE,
            BASE,
            "Challenger is better than Base in test accuracy, by 10.0 percentage points "
            "[8.7, 11.3] (paired t test over 4 seeds, p < 0.001 after Holm's correction over 2 "
            "arms), and better than Random, by 10.0 [8.7, 11.3] (p < 0.001).",
        ),
        (
            BASE,
            ABOVE,
            "No difference between Challenger and Base was shown in test accuracy: 0.0 percentage "
            "points [0.0, 0.0] (paired t test over 4 seeds, p = 1.00 after Holm's correction over "
            "2 arms), but worse than Random, by 10.0 [8.7, 11.3] (p < 0.001).",
        ),
    ],
)
def test_it_says_what_was_found_against_both_controls(challenger, random, says):
    assert verdict(table_of(challenger, random)).finding == says


def test_where_nothing_was_shown_it_says_what_could_have_been():
    table = table_of(AROUND, BASE)
    corrected = compare(table, ("test/accuracy",)).row("challenger").measurements[0].to_control
    assert corrected is not None
    least = detectable_difference(corrected.difference, family=2)
    assert least is not None
    found = verdict(table)
    assert f"4 seeds of this spread show {least * 100:.1f} or more in 80% of studies" in (
        found.finding
    )
    assert found.sensitivity.startswith(
        "Averaged over 2 values of K, Challenger is not shown to differ from Base: +0.5 "
    )


def test_the_matched_control_is_named_as_such():
    table = table_of(ABOVE, BASE)
    matched = replace(table.arm("random"), like="challenger")
    assert "better than matched Random, by" in verdict(with_arm(table, matched)).finding


def test_controls_on_another_dataset_are_no_part_of_it():
    table = table_of(ABOVE, BASE)
    whole = replace(table.arm("base"), name="whole", dataset="mnist")
    row = table.chosen("base")
    assert row is not None
    rows = (*table.rows, replace(row, arm="whole"))
    both = replace(table, arms=(*table.arms, whole), rows=rows)
    assert verdict(both).finding == verdict(table).finding


def test_a_study_without_results_or_controls_or_end_says_so():
    assert verdict(replace(table_of(ABOVE, BASE), rows=())).finding.startswith(
        "No test result yet: study "
    )
    alone = verdict(constant_table({"challenger": {5: ABOVE}})).finding
    assert alone.endswith("; there is no control to compare it with.")
    table = table_of(ABOVE, BASE)
    rest = OpenTrials(arm="challenger", phase="final", ended=1, total=2)
    assert verdict(replace(table, open=(rest,))).finding.startswith("So far: Challenger is better")


def test_before_its_first_test_a_study_has_the_best_of_its_searches_so_far():
    table = make_trial_table()
    searched = tuple(row for row in table.rows if row.phase == "search")
    rest = OpenTrials(arm="challenger", phase="final", ended=0, total=1)
    found = verdict(replace(table, rows=searched, open=(rest,))).finding
    best = max(row.value or 0.0 for row in searched if row.arm == "challenger")
    assert found.startswith("So far: no test result yet; best validation accuracy of the searches")
    assert f"Challenger {best * 100:.1f}% (trial " in found


def test_replicas_at_chance_and_choices_at_an_edge_are_said():
    table = make_trial_table()
    assert verdict(table).cautions == ()
    arm = table.arm("challenger")
    edge = replace(
        arm,
        dimensions={**arm.dimensions, "alpha": FloatDimension(low=0.1, high=0.8)},
        wider={"alpha": (0.01, 3.0)},
    )
    row = table.chosen("base")
    assert row is not None
    *others, last = row.reports
    accuracies = (0.09, *last.metrics["test/accuracy"][1:])
    metrics = {
        **last.metrics,
        "test/accuracy": accuracies,
        "test/samples": (1000.0,) * 5,
        "test/majority_accuracy": (0.1,) * 5,
    }
    stuck = replace(
        row,
        reports=(*others, StoredReport(epoch=last.epoch, time_ms=last.time_ms, metrics=metrics)),
    )
    chance, at_edge = verdict(with_row(with_arm(table, edge), stuck)).cautions
    assert chance.startswith(
        "1 of 5 replicas of Base on mnist (3 per class) ended at chance (seed"
    )
    assert "not to be trusted; test accuracy: median" in chance
    assert at_edge == (
        "Challenger chose α = 0.8, at the upper edge of its range (0.1 to 0.8): the best may lie "
        "beyond; try 0.1 to 3."
    )
