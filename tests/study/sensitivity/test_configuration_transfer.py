"""Configurations of one dataset on the others, against values computed by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from study.records.errors import ReportError
from study.records.trial_table import TrialTable
from study.sensitivity import (
    holm,
    paired_difference,
    swept_dimensions,
    t_interval,
    transfer,
    transfer_methods,
)
from tests.support.transfer_tables import CHOICES, INFEASIBLE_REASON, VALUES, transfer_table_of
from tests.support.trial_tables import make_trial_table, with_arm, with_row, without_rows

TABLE = transfer_table_of()
ON_DIGITS = "digits (3 per class) with vgg11, width 0.25"


def target(table: TrialTable, arm: str):
    return next(t for t in transfer(table, "challenger").targets if t.arm == arm)


def row(table: TrialTable, arm: str, source: str):
    return next(r for r in target(table, arm).rows if r.source == source)


def test_every_target_has_its_own_choice_first_and_a_group_s_choice_once():
    shown = {
        t.arm: [(r.source, r.kind) for r in t.rows] for t in transfer(TABLE, "challenger").targets
    }
    assert shown == {
        "digits": [("digits", "own"), ("words", "arm"), ("both", "group")],
        "words": [("words", "own"), ("digits", "arm"), ("both", "group")],
        "both-digits": [("both", "own"), ("digits", "arm"), ("words", "arm")],
        "both-words": [("both", "own"), ("digits", "arm"), ("words", "arm")],
    }
    both = row(TABLE, "digits", "both")
    assert both.source_datasets == ("digits (3 per class)", "reuters (keras)")
    assert both.params == CHOICES["both"]
    assert row(TABLE, "digits", "words").source_datasets == ("reuters (keras)",)
    assert transfer(TABLE, "challenger").notes == ()


def test_differences_are_paired_with_base_and_with_the_own_choice_and_corrected():
    rows = target(TABLE, "digits").rows
    values, base = VALUES["digits"], VALUES["base-digits"][""]
    to_base = [paired_difference(values[r.source], base) for r in rows]
    to_own = [paired_difference(values[r.source], values["digits"]) for r in rows[1:]]
    found = [r.get("test/accuracy") for r in rows]
    assert [v.interval for v in found] == [t_interval(values[r.source]) for r in rows]
    assert [v.replicas for v in found] == list(values.values())
    assert [v.to_base.difference for v in found] == to_base
    assert tuple(v.to_base.p_holm for v in found) == holm([d.p_value for d in to_base])
    assert found[0].to_own is None
    assert [v.to_own.difference for v in found[1:]] == to_own
    assert tuple(v.to_own.p_holm for v in found[1:]) == holm([d.p_value for d in to_own])
    assert target(TABLE, "digits").base["test/accuracy"] == t_interval(base)
    assert rows[1].get("test/auc").interval.mean == pytest.approx(0.5 + 0.615 / 2)
    assert rows[1].get("test/nll") is None


def test_an_infeasible_configuration_keeps_its_row_with_the_reason():
    found = row(TABLE, "words", "digits")
    assert (found.values, found.is_infeasible) == ((), True)
    assert found.note == f"outside this search space: {INFEASIBLE_REASON}"
    # The families hold what was trained alone.
    assert row(TABLE, "words", "both").get("test/accuracy").to_base.family == 2
    assert row(TABLE, "words", "both").get("test/accuracy").to_own.family == 1


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"state": "FAIL", "reason": "diverged"}, "no result: its trial failed (diverged)."),
        ({"state": "RUNNING"}, "no result: its trial is still running."),
    ],
)
def test_a_trial_without_a_result_keeps_its_row_with_the_reason(changes, note):
    trial = TABLE.select("digits", "final")[1]
    table = with_row(TABLE, replace(trial, **changes))
    assert row(table, "digits", "words").note == note
    assert row(table, "digits", "words").values == ()
    assert not row(table, "digits", "words").is_infeasible
    assert transfer(table, "challenger").notes == (
        f"Arm 'digits': The configuration of 'words' has {note}",
    )


def test_a_missing_trial_and_an_unfinished_search_are_noted():
    table = without_rows(TABLE, ("digits", "final", 1))
    assert row(table, "digits", "words").note == "no result: its trial has not been started."
    table = with_arm(TABLE, replace(TABLE.arm("words"), best_params=None))
    assert row(table, "digits", "words").note == "no result: its search has not chosen yet."
    assert row(table, "digits", "words").params is None


def test_without_the_own_choice_the_others_are_still_compared_with_base():
    chosen = TABLE.chosen("digits")
    assert chosen is not None
    table = with_row(TABLE, replace(chosen, state="FAIL", reason="diverged"))
    own, words, _ = target(table, "digits").rows
    assert own.note.startswith("no result: arm 'digits' must have trained its chosen config")
    value = words.get("test/accuracy")
    assert (value.to_own, value.to_base.family) == (None, 2)


def test_a_setting_that_coincides_with_the_own_choice_is_the_same_trial_and_counts_once():
    arm = TABLE.arm("words")
    table = with_arm(TABLE, replace(arm, best_params=CHOICES["digits"]))
    found = row(table, "digits", "words")
    assert found.note == "the same as the own choice."
    assert found.values == target(table, "digits").rows[0].values
    assert found.get("test/accuracy").to_own is None
    assert found.get("test/accuracy").to_base.family == 2


def test_without_base_the_levels_remain_with_a_note():
    table = replace(TABLE, arms=TABLE.arms[1:])
    assert target(table, "digits").base == {}
    assert row(table, "digits", "words").get("test/accuracy").to_base is None
    assert f"Arm 'digits': The study has no base arm on {ON_DIGITS}." in (
        transfer(table, "challenger").notes
    )
    chosen = TABLE.chosen("base-digits")
    assert chosen is not None
    table = with_row(TABLE, replace(chosen, state="FAIL", reason="diverged"))
    (note,) = target(table, "digits").notes
    assert note.startswith("The control base is left out: arm 'base-digits' must have trained")


def test_a_study_without_transfer_has_none():
    assert transfer_methods(make_trial_table()) == ()
    assert transfer_methods(TABLE) == ("challenger",)
    lonely = replace(TABLE, arms=TABLE.arms[:2])
    assert transfer_methods(lonely) == ()
    arms = tuple(replace(arm, transfer=arm.group is not None) for arm in TABLE.arms)
    assert transfer_methods(replace(TABLE, arms=arms)) == ()
    others = tuple(replace(a, method=a.name) for a in TABLE.arms)
    assert transfer_methods(replace(TABLE, arms=others)) == ()
    held = tuple(replace(a, dimensions={}) if a.name == "words" else a for a in TABLE.arms[:4])
    assert transfer_methods(replace(TABLE, arms=held)) == ()


def test_a_setting_from_elsewhere_that_differs_in_one_dimension_is_no_sweep():
    near = {**CHOICES["digits"], "top_k": 3}
    trial = replace(TABLE.select("digits", "final")[1], params=near)
    table = with_arm(with_row(TABLE, trial), replace(TABLE.arm("words"), best_params=near))
    assert row(table, "digits", "words").values != ()
    assert swept_dimensions(table, table.arm("digits")) == ()
    swept = replace(table.arm("digits"), sweeps={"top_k": (3, 8)})
    assert swept_dimensions(table, swept) == ("top_k",)


def test_a_study_without_any_result_is_an_error():
    with pytest.raises(ReportError, match="need a completed final trial, but there is none; run"):
        transfer(replace(TABLE, rows=()), "challenger")


def test_trials_that_are_no_pairs_are_refused():
    trial = TABLE.select("digits", "final")[1]
    table = with_row(TABLE, replace(trial, seeds=(1, 2, 3, 4)))
    with pytest.raises(ReportError, match="pairs must share their replica seeds"):
        transfer(table, "challenger")
