"""Search trials as arrays, and the variance of the replica noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from search_spaces import CategoricalDimension, Condition, FloatDimension, IntDimension
from study.records.errors import ReportError
from study.records.trial_table import TrialTable
from study.sensitivity.importance import is_design, search_data
from study.sensitivity.importance.search_data import (
    axis_bounds,
    decode_value,
    encode_value,
    noise_variance,
)
from study.sensitivity.intervals import ReplicaValues
from tests.support.search_designs import (
    METRIC,
    SOBOL,
    UNIT,
    additive,
    design_table,
    saltelli,
    search_data_of,
    with_one_replica,
)
from tests.support.trial_tables import with_arm, with_row, without_rows


def with_state(table: TrialTable, number: int, state: str) -> TrialTable:
    row = next(row for row in table.rows if row.number == number)
    return with_row(table, replace(row, state=state))


def proposed_by(table: TrialTable, sampler: str) -> TrialTable:
    return with_arm(table, replace(table.arm("challenger"), sampler=sampler, design=None))


def test_points_and_values_are_those_of_the_trials():
    table = design_table(additive, axes=UNIT, trials=8, noise=0.1)
    data = search_data_of(table)
    assert data.dimensions == tuple("abcde")
    assert data.trial_numbers == tuple(range(8))
    assert data.x[3].tolist() == list(table.rows[3].params.values())
    assert data.y[3] == pytest.approx(np.mean(table.rows[3].last(METRIC)))
    assert (data.n, data.replicas, data.block, data.is_biased) == (8, (3,), 1, False)
    assert data.notes == ()


def test_search_data_is_hashable_by_its_content():
    first, second = (search_data_of(design_table(additive, axes=UNIT, trials=8)) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)


def test_the_direction_is_the_objectives_or_the_metrics_own():
    table = design_table(additive, axes=UNIT, trials=8)
    assert search_data_of(table).direction == "maximize"
    assert search_data_of(replace(table, direction="minimize")).direction == "minimize"
    assert search_data_of(table, "filter_cosine/mean").direction == "minimize"


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
    assert encode_value(axis, value) == pytest.approx(number)
    back = decode_value(axis, encode_value(axis, value))
    assert back == (pytest.approx(value) if isinstance(value, float) else value)
    assert type(back) is type(value)


def test_the_outermost_integers_weigh_as_much_as_the_others():
    assert axis_bounds(IntDimension(low=1, high=3)) == (0.5, 3.5)
    assert axis_bounds(IntDimension(low=1, high=3, log=True)) == pytest.approx(np.log((0.5, 3.5)))


def test_trials_that_tpe_proposed_are_refused():
    table = proposed_by(design_table(additive, axes=UNIT, trials=8), "tpe")
    assert not is_design(table.arm("challenger"))
    with pytest.raises(ReportError, match="these are from tpe: they cluster around the best"):
        search_data_of(table)


def test_biased_trials_are_marked_where_they_are_allowed():
    table = proposed_by(design_table(additive, axes=UNIT, trials=8), "tpe")
    data = search_data(table, "challenger", METRIC, allow_biased=True)
    assert data.is_biased
    assert data.notes[0].startswith("Biased: tpe chose the trials by earlier results")


def test_trials_that_were_stopped_early_are_refused_even_so():
    table = with_state(design_table(additive, axes=UNIT, trials=8), 2, "PRUNED")
    for allow_biased in (False, True):
        with pytest.raises(ReportError, match="1 of 8 search trials were stopped early: their"):
            search_data(table, "challenger", METRIC, allow_biased=allow_biased)


def test_failed_and_running_trials_are_left_out_and_named():
    table = design_table(additive, axes=UNIT, trials=8, design=SOBOL)
    data = search_data_of(with_state(with_state(table, 2, "FAIL"), 5, "RUNNING"))
    assert data.trial_numbers == (0, 1, 3, 4, 6, 7)
    assert "1 of 8 search trials failed and are excluded" in data.notes[0]
    assert "1 search trials are still running and are excluded" in data.notes[1]


def test_a_failed_trial_takes_its_whole_block_with_it():
    design, trials = saltelli(4, 5)
    table = with_state(design_table(additive, axes=UNIT, design=design, trials=trials), 9, "FAIL")
    data = search_data_of(table)
    assert data.block == 7
    assert data.trial_numbers == (*range(7), *range(14, 28))
    assert data.notes[1].startswith("1 of the design's blocks of 7 trials are incomplete")


def test_a_block_that_is_not_there_whole_is_left_out():
    design, trials = saltelli(4, 5, second_order=True)
    table = design_table(additive, axes=UNIT, design=design, trials=trials)
    data = search_data_of(without_rows(table, ("challenger", "search", trials - 1)))
    assert (data.block, data.n) == (12, 36)
    assert data.second_order


def test_a_dimension_that_its_choice_closes_has_no_number():
    axes = {"mix": CategoricalDimension(choices=("on", "off")), "a": FloatDimension(low=0, high=1)}
    table = design_table(lambda x: x[:, 0] + 1.0, axes=axes, trials=6)
    rows = [
        replace(r, params={"mix": "off"}) if r.params["mix"] == "off" else r for r in table.rows
    ]
    arm = replace(
        table.arm("challenger"), conditions={"a": Condition(dimension="mix", value="on")}
    )
    data = search_data_of(with_arm(replace(table, rows=tuple(rows)), arm))
    assert np.isnan(data.x[:, 1]).tolist() == [r.params["mix"] == "off" for r in rows]


FOUR = design_table(additive, axes=UNIT, trials=4)
FLAT = design_table(lambda x: np.full(len(x), 0.5), axes=UNIT, trials=4)


@pytest.mark.parametrize(
    ("table", "metric", "message"),
    [
        (with_row(FOUR, replace(FOUR.rows[1], params={"a": 0.5})), METRIC, "must have a value of"),
        (FLAT, METRIC, "val/accuracy must differ between trials .* but is 0.5 in all 4"),
        (with_arm(FOUR, replace(FOUR.arms[0], dimensions={})), METRIC, "must search a dimension"),
        (replace(FOUR, rows=()), METRIC, "but of 0 there are 0 to use; resume the study"),
        (FOUR, "test/accuracy", "must report test/accuracy, but has none"),
    ],
)
def test_trials_of_which_nothing_can_be_claimed_are_refused(table, metric, message):
    with pytest.raises(ReportError, match=message):
        search_data_of(table, metric)


def trials(values: np.ndarray, seeds=None) -> list[ReplicaValues]:
    return [
        ReplicaValues(
            trial=str(i),
            metric="val/accuracy",
            seeds=tuple(seeds[i]) if seeds is not None else tuple(range(len(row))),
            values=tuple(row.tolist()),
        )
        for i, row in enumerate(values)
    ]


def test_it_is_the_variance_of_the_noise_over_the_replicas():
    values = np.random.default_rng(1).normal(0, 0.2, (4000, 4)) + 0.5
    assert noise_variance(trials(values)) == pytest.approx(0.04 / 4, rel=0.03)


def test_a_seed_that_does_well_everywhere_is_no_noise_between_trials():
    rng = np.random.default_rng(2)
    values = rng.normal(0, 0.1, (4000, 3)) + rng.normal(0, 5.0, 3)
    assert noise_variance(trials(values)) == pytest.approx(0.01 / 3, rel=0.04)


def test_without_shared_seeds_it_is_the_mean_variance_over_the_replicas():
    values = np.random.default_rng(3).normal(size=(5, 3))
    found = noise_variance(trials(values, seeds=np.arange(15).reshape(5, 3)))
    assert found == pytest.approx(values.var(axis=1, ddof=1).mean() / 3)


def test_a_basis_carries_the_share():
    table = design_table(additive, axes=UNIT, trials=2000, noise=1.5)
    signal = 14.25 / 12
    assert search_data_of(table).noise == pytest.approx(0.75 / (0.75 + signal), rel=0.06)


def test_a_basis_of_single_replicas_has_none():
    assert (
        search_data_of(with_one_replica(design_table(additive, axes=UNIT, trials=8))).noise is None
    )
