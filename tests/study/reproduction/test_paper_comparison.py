"""The paper's numbers with ours, on a synthetic table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from study.reproduction.paper_comparison import (
    PaperReference,
    reproduce,
    reproduction_tables,
)
from study.reproduction.paper_preset import PaperRow
from study.sensitivity import compare, t_interval
from tests.support.trial_tables import TableShape, make_trial_table

TABLE = make_trial_table(TableShape(replicas=6, layers=2, search_trials=4))


def printed(*rows: PaperRow) -> PaperReference:
    return PaperReference(
        preset="table9",
        scale="smoke",
        unknown="everything.",
        settings="0123456789abcdef",
        code="fedcba9876543210",
        rows=rows,
        deviations={"challenger": ("model.width 1 → 0.25", "training.epochs 200 → 2")},
    )


def row(arm: str = "challenger", metric: str = "test/accuracy", **changes: object) -> PaperRow:
    return PaperRow(
        **{"row": "tinyX, Ours", "arm": arm, "metric": metric, "value": 71.06, **changes}
    )


def test_ours_is_the_mean_of_the_chosen_configuration_with_its_interval():
    record = reproduce(TABLE, printed(row()))
    values = TABLE.chosen("challenger").last("test/accuracy")
    assert record.values[0].interval == t_interval(values)
    assert record.values[0].paper.value == 71.06


def test_an_arm_or_metric_without_a_result_is_an_empty_cell():
    record = reproduce(TABLE, printed(row(metric="test/unheard")))
    assert record.values[0].interval is None
    (cells,) = reproduction_tables(record)[0].rows
    assert cells[3:5] == ("–", "–")
    line = next(record.frame_rows())
    assert line["ours"] is None


def test_the_table_has_paper_ours_n_and_deviations():
    tables = reproduction_tables(reproduce(TABLE, printed(row(note="not comparable"))))
    numbers, deviations, control_tests = tables
    (cells,) = numbers.rows
    assert cells[:3] == ("tinyX, Ours", "Test accuracy [%]", "71.06")
    assert cells[4:] == ("6", "width, epochs; not comparable")
    assert "everything." in numbers.note
    assert deviations.rows == (("challenger", "model.width 1 → 0.25; training.epochs 200 → 2"),)
    assert {line[1] for line in control_tests.rows} == {"Base", "Random"}


def test_a_number_at_full_scale_differs_in_nothing():
    full = replace(printed(row()), deviations={})
    tables = reproduction_tables(reproduce(TABLE, full))
    assert tables[0].rows[0][-1] == "nothing that the paper states"
    assert len(tables) == 2


def test_without_printed_numbers_there_is_no_table_of_them():
    tables = reproduction_tables(reproduce(TABLE, printed()))
    assert [table.title for table in tables] == [
        "Deviations from the paper's settings",
        "Challenger against its controls",
    ]


@pytest.mark.parametrize("against", ["base", "random"])
def test_the_verdict_is_that_of_the_corrected_comparison(against):
    record = reproduce(TABLE, printed())
    (verdict,) = [v for v in record.control_tests if v.against == against]
    measured = compare(TABLE, ("test/accuracy",), against=against).row("challenger")
    corrected = measured.get("test/accuracy").to_control
    assert verdict.difference == corrected
    expected = "no difference shown"
    if corrected.is_significant:
        expected = "better" if corrected.difference.interval.mean > 0 else "worse"
    assert verdict.outcome == expected


def test_the_rows_hold_every_digit_and_the_environment():
    line, *differences = reproduce(TABLE, printed(row())).frame_rows()
    values = TABLE.chosen("challenger").last("test/accuracy")
    assert line["ours"] == t_interval(values).mean
    assert (line["paper"], line["factor"], line["n"]) == (71.06, 100.0, 6)
    assert line["differs"] == "model.width 1 → 0.25; training.epochs 200 → 2"
    assert any(key.startswith("environment/") for key in line)
    assert line["settings"] == "0123456789abcdef"
    assert line["code"] == "fedcba9876543210"
    assert [one["row"] for one in differences] == [
        "challenger minus base",
        "challenger minus random",
    ]
    corrected = compare(TABLE, ("test/accuracy",), against="random").row("challenger")
    expected = corrected.get("test/accuracy").to_control
    assert differences[1]["ours"] == expected.difference.interval.mean
    assert differences[1]["p"] == expected.p_holm
    assert all(list(one) == list(line) for one in differences)
