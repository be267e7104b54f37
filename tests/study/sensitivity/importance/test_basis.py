"""What a global claim may stand on, and what is refused with which words."""

from dataclasses import replace

import numpy as np
import pytest

from search_spaces import CategoricalDimension, Condition, FloatDimension, IntDimension, Saltelli
from study.errors import ReportError
from study.sensitivity.importance import global_basis, is_design
from study.sensitivity.importance.axes import extent, to_number, to_value
from study.trial_table import TrialTable
from tests.study.factories import with_arm, with_row, without_rows
from tests.study.sensitivity.designs import (
    METRIC,
    SOBOL,
    UNIT,
    additive,
    basis_of,
    design_table,
    saltelli,
)


def with_state(table: TrialTable, number: int, state: str) -> TrialTable:
    row = next(row for row in table.rows if row.number == number)
    return with_row(table, replace(row, state=state))


def proposed_by(table: TrialTable, sampler: str) -> TrialTable:
    return with_arm(table, replace(table.arm("challenger"), sampler=sampler, design=None))


def test_points_and_values_are_those_of_the_trials():
    table = design_table(additive, axes=UNIT, trials=8, noise=0.1)
    basis = basis_of(table)
    assert basis.dimensions == tuple("abcde")
    assert basis.numbers == tuple(range(8))
    assert basis.x[3].tolist() == list(table.rows[3].params.values())
    assert basis.y[3] == pytest.approx(np.mean(table.rows[3].last(METRIC)))
    assert (basis.n, basis.replicas, basis.block, basis.is_biased) == (8, (3,), 1, False)
    assert basis.notes == ()


def test_a_basis_can_be_kept_by_what_it_holds():
    first, second = (basis_of(design_table(additive, axes=UNIT, trials=8)) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)


def test_the_direction_is_the_objectives_or_the_metrics_own():
    table = design_table(additive, axes=UNIT, trials=8)
    assert basis_of(table).direction == "maximise"
    assert basis_of(replace(table, direction="minimise")).direction == "minimise"
    assert basis_of(table, "filter_cosine/mean").direction == "minimise"


@pytest.mark.parametrize(
    ("axis", "value", "number"),
    [
        (FloatDimension(low=0.01, high=1.0, log=True), 0.1, np.log(0.1)),
        (IntDimension(low=1, high=64, log=True), 8, np.log(8)),
        (IntDimension(low=1, high=9), 4, 4.0),
        (CategoricalDimension(choices=("lrp", "gradient")), "gradient", 1.0),
        (CategoricalDimension(choices=(False, True)), True, 1.0),
    ],
)
def test_values_and_numbers_are_each_others_inverse(axis, value, number):
    assert to_number(axis, value) == pytest.approx(number)
    back = to_value(axis, to_number(axis, value))
    assert back == (pytest.approx(value) if isinstance(value, float) else value)
    assert type(back) is type(value)


def test_the_outermost_integers_weigh_as_much_as_the_others():
    assert extent(IntDimension(low=1, high=3)) == (0.5, 3.5)
    assert extent(IntDimension(low=1, high=3, log=True)) == pytest.approx(np.log((0.5, 3.5)))


def test_trials_that_tpe_proposed_are_refused():
    table = proposed_by(design_table(additive, axes=UNIT, trials=8), "tpe")
    assert not is_design(table.arm("challenger"))
    with pytest.raises(ReportError) as caught:
        basis_of(table)
    assert str(caught.value) == (
        "arm 'challenger': a claim about its whole space needs trials that were chosen without "
        "looking at results, but tpe proposed them: they cluster around the best, so that shares "
        "of variance would describe tpe's own choices; search with 'sampler: random' or a "
        "'design' (sobol, saltelli), or give --insist to see them marked as biased."
    )


def test_whoever_insists_gets_them_marked_as_biased():
    table = proposed_by(design_table(additive, axes=UNIT, trials=8), "tpe")
    basis = global_basis(table, "challenger", METRIC, insist=True)
    assert basis.is_biased
    assert basis.notes[0].startswith("Biased: tpe proposed the trials by their results")


def test_trials_that_were_stopped_early_are_refused_even_so():
    table = with_state(design_table(additive, axes=UNIT, trials=8), 2, "PRUNED")
    for insist in (False, True):
        with pytest.raises(ReportError) as caught:
            global_basis(table, "challenger", METRIC, insist=insist)
        assert str(caught.value) == (
            "arm 'challenger': a claim about its whole space needs trials of the full budget, but "
            "1 of 8 search trials were stopped early: their values are those of fewer epochs, and "
            "without them the bad regions would be missing; search with 'scheduler: none'."
        )


def test_failed_and_running_trials_are_left_out_and_named():
    table = design_table(additive, axes=UNIT, trials=8, design=SOBOL)
    basis = basis_of(with_state(with_state(table, 2, "FAIL"), 5, "RUNNING"))
    assert basis.numbers == (0, 1, 3, 4, 6, 7)
    assert basis.notes == (
        "1 of 8 search trials failed and are left out: where they lie, nothing is known.",
        "1 search trials are still running and are left out.",
    )


def test_a_failed_trial_takes_its_whole_block_with_it():
    design, trials = saltelli(4, 5)
    table = with_state(design_table(additive, axes=UNIT, design=design, trials=trials), 9, "FAIL")
    basis = basis_of(table)
    assert basis.block == 7
    assert basis.numbers == (*range(7), *range(14, 28))
    assert basis.notes[1] == (
        "1 of the design's blocks of 7 trials did not complete whole and are left out, 7 trials "
        "in all."
    )


def test_a_block_that_is_not_there_whole_is_left_out():
    design, trials = saltelli(4, 5, second_order=True)
    table = design_table(additive, axes=UNIT, design=design, trials=trials)
    basis = basis_of(without_rows(table, ("challenger", "search", trials - 1)))
    assert (basis.block, basis.n) == (12, 36)
    assert basis.second_order


def test_a_dimension_that_its_choice_closes_has_no_number():
    axes = {"mix": CategoricalDimension(choices=("on", "off")), "a": FloatDimension(low=0, high=1)}
    table = design_table(lambda x: x[:, 0] + 1.0, axes=axes, trials=6)
    rows = [
        replace(r, params={"mix": "off"}) if r.params["mix"] == "off" else r for r in table.rows
    ]
    arm = replace(
        table.arm("challenger"), conditions={"a": Condition(dimension="mix", value="on")}
    )
    basis = basis_of(with_arm(replace(table, rows=tuple(rows)), arm))
    assert np.isnan(basis.x[:, 1]).tolist() == [r.params["mix"] == "off" for r in rows]


def test_a_trial_without_a_value_of_a_dimension_is_refused():
    table = design_table(additive, axes=UNIT, trials=4)
    row = replace(table.rows[1], params={"a": 0.5})
    with pytest.raises(ReportError, match="search trial 1 of arm 'challenger' must have a value"):
        basis_of(with_row(table, row))


def test_a_metric_without_any_spread_is_refused():
    table = design_table(lambda x: np.full(len(x), 0.5), axes=UNIT, trials=4)
    with pytest.raises(ReportError) as caught:
        basis_of(table)
    assert str(caught.value) == (
        "arm 'challenger': val/accuracy must differ between trials for anything to explain it, "
        "but is 0.5 in all 4; name another metric or train longer."
    )


def test_an_arm_that_searches_nothing_is_refused():
    table = design_table(additive, axes=UNIT, trials=4)
    with pytest.raises(ReportError, match="must search a dimension for a claim about its space"):
        basis_of(with_arm(table, replace(table.arm("challenger"), dimensions={})))


def test_a_search_without_completed_trials_is_refused():
    table = replace(design_table(additive, axes=UNIT, trials=4), rows=())
    with pytest.raises(ReportError, match="but of 0 there are 0 to use; resume the study"):
        basis_of(table)


def test_a_metric_that_search_trials_do_not_report_is_refused():
    with pytest.raises(ReportError, match="must report test/accuracy, but has none"):
        basis_of(design_table(additive, axes=UNIT, trials=4), "test/accuracy")


def test_only_saltellis_design_has_blocks():
    assert basis_of(design_table(additive, axes=UNIT, trials=8, design=SOBOL)).block == 1
    assert Saltelli().block_size(5) == 7
