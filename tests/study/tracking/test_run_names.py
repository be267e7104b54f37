from __future__ import annotations

from dataclasses import replace

from study.tracking.run_names import trial_name
from tests.study.factories import final_row

TESTED = {"test/accuracy": (0.5, 0.75)}


def test_a_name_says_arm_phase_number_and_the_point_in_the_papers_symbols() -> None:
    row = final_row("digits challenger", 3, {"top_k": 5, "n_features": 0.123456}, TESTED)
    assert trial_name(row) == "digits challenger final 3 · K=5 N=0.123"
    assert trial_name(replace(row, params={"mix": "never"})) == (
        "digits challenger final 3 · chance=never"
    )


def test_a_trial_of_a_method_without_dimensions_has_no_point() -> None:
    assert trial_name(final_row("base", 0, {}, TESTED)) == "base final 0"
