"""Table, panel and statements of configurations from other datasets."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

from study.figures import ReportSource
from study.records.frames import to_csv
from study.report import summarize, write_report
from study.report.panel import MissingPanel
from study.report.panels import figure_panels
from study.report.summary_tables import transfer_table
from study.sensitivity import transfer
from tests.support.transfer_tables import CHOICES, INFEASIBLE_REASON, transfer_table_of
from tests.support.trial_tables import make_trial_table, with_arm, with_row

TABLE = transfer_table_of()
TITLE = "Configurations from other datasets"


def statements(table, title: str = TITLE) -> tuple[str, ...]:
    return next(s.statements for s in summarize(table).sections if s.title == title)


def test_the_table_has_a_row_per_configuration_with_numbers_or_a_reason():
    record = transfer(TABLE, "challenger")
    digits, words = (transfer_table(record, target) for target in record.targets[:2])
    assert (
        digits.title == "Configurations tried on digits: digits (3 per class), vgg11, width 0.25"
    )
    assert [len(r) for r in (*digits.rows, *words.rows)] == [len(digits.columns)] * 6
    assert digits.columns[:4] == (
        "Chosen by",
        "Test accuracy [%]",
        "Minus Base [percentage points]",
        "Minus own choice [percentage points]",
    )
    assert digits.rows[0] == (
        "digits (own choice)",
        "71.0 [68.1, 73.9]",
        "+20.5 [+19.6, +21.4], p < 0.001",
        "–",
        "85.5 [84.0, 87.0]",
        "+10.2 [+9.8, +10.7], p < 0.001",
        "–",
        "4",
        "K = 8, α = 0.5",
        "digits (3 per class)",
    )
    assert digits.rows[1][3] == "−9.5 [−10.4, −8.6], p < 0.001"
    assert digits.rows[2][-1] == "digits (3 per class) and reuters (keras)"
    assert words.rows[1] == (
        "digits",
        f"outside this search space: {INFEASIBLE_REASON[:-1]}",
        *("–",) * 6,
        "K = 8, α = 0.5",
        "digits (3 per class)",
    )


def test_an_equal_configuration_has_its_numbers_and_a_note():
    table = with_arm(TABLE, replace(TABLE.arm("words"), best_params=CHOICES["digits"]))
    record = transfer(table, "challenger")
    _, words, _ = transfer_table(record, record.targets[0]).rows
    assert words[1:4:2] == ("71.0 [68.1, 73.9]", "the same as the own choice")


def test_the_csv_has_every_digit_and_a_row_for_a_missing_result():
    rows = list(csv.DictReader(io.StringIO(to_csv(transfer(TABLE, "challenger").to_frame()))))
    record = transfer(TABLE, "challenger").targets[0].rows[1]
    found = next(r for r in rows if (r["arm"], r["source"]) == ("digits", "words"))
    value = record.get("test/accuracy")
    assert value is not None
    assert value.to_base is not None
    assert value.to_own is not None
    assert float(found["low"]) == value.interval.low
    assert float(found["minus_base"]) == value.to_base.difference.interval.mean
    assert float(found["p_holm"]) == value.to_base.p_holm
    assert float(found["minus_own"]) == value.to_own.difference.interval.mean
    assert float(found["p_holm_to_own"]) == value.to_own.p_holm
    assert float(found["seed_100"]) == value.replicas[0]
    assert (found["source_kind"], found["params/top_k"]) == ("arm", "3")
    (illegal,) = [r for r in rows if (r["arm"], r["source"]) == ("words", "digits")]
    assert (illegal["note"], illegal["mean"]) == (
        f"outside this search space: {INFEASIBLE_REASON}",
        "",
    )
    assert len(rows) == 2 * 10 + 2


def test_a_report_has_the_figure_the_tables_and_the_numbers_under_each_target(tmp_path: Path):
    files = write_report(TABLE, tmp_path, tmp_path / "out")
    for arm in ("digits", "words", "both-digits", "both-words"):
        assert "challenger-transfer.svg" in {path.name for path in files.figures[arm]}
        assert "challenger-transfer.csv" in {path.name for path in files.tables[arm]}
    assert "challenger-transfer.svg" not in {path.name for path in files.figures["base-digits"]}
    page = files.html.read_text(encoding="utf-8")
    assert "Challenger: configurations from other datasets" in page
    assert "Configurations tried on both-words" in page
    assert not any("outside this" in sentence for sentence in files.missing)


def test_a_failed_trial_and_a_study_without_results_are_named_as_missing(tmp_path: Path):
    trial = TABLE.select("digits", "final")[1]
    table = with_row(TABLE, replace(trial, state="FAIL", reason="diverged"))
    files = write_report(table, tmp_path, tmp_path / "out")
    assert (
        "Arm 'digits': The configuration of 'words' has no result: its trial failed (diverged)."
        in files.missing
    )
    empty = replace(TABLE, rows=())
    (missing,) = figure_panels("transfer_dots", ReportSource(table=empty, folder=tmp_path))
    assert isinstance(missing, MissingPanel)
    assert missing.reason.startswith("study 'tiny-mnist-top-k': configurations of challenger on")
    assert statements(empty) == (f"Challenger: no result yet; {missing.reason}",)


def test_a_study_without_transfer_has_neither_section_nor_panel(tmp_path: Path):
    table = make_trial_table()
    assert TITLE not in {section.title for section in summarize(table).sections}
    assert list(figure_panels("transfer_dots", ReportSource(table=table, folder=tmp_path))) == []


def test_each_target_has_one_sentence_on_all_configurations():
    digits, words, both, _ = statements(TABLE)
    assert digits == (
        "digits on digits (3 per class): its own choice reached a test accuracy of 71.0% (95% "
        "interval 68.1 to 73.9, 4 replicas); that of words 61.5% (95% interval 57.7 to 65.3, 4 "
        "replicas), 9.5 percentage points below the own choice (95% interval −10.4 to −8.6; p < "
        "0.001, Holm-corrected over 2 comparisons); that of both 71.0% (95% interval 66.9 to "
        "75.1, 4 replicas), no difference to the own choice shown: 0.0 percentage points (95% "
        "interval −2.3 to +2.3; "
        "p = 1.00, Holm-corrected over 2 comparisons)."
    )
    assert (
        f"; that of digits is outside this search space: {INFEASIBLE_REASON[:-1]}; that of both "
        "43.5%" in words
    )
    assert both.startswith(
        "both-digits on digits (3 per class): the choice of both, its own search, reached a test "
        "accuracy of 71.0%"
    )


def test_the_sentence_has_missing_results_and_equal_configurations():
    trial = TABLE.select("digits", "final")[1]
    table = with_row(TABLE, replace(trial, state="FAIL", reason="diverged"))
    text = statements(table)[0]
    assert "; that of words has no result: its trial failed (diverged); that of both " in text
    chosen = TABLE.chosen("digits")
    assert chosen is not None
    table = with_row(TABLE, replace(chosen, state="FAIL", reason="diverged"))
    text = statements(table)[0]
    assert "its own choice has no result: arm 'digits' must have trained" in text
    assert "; that of words 61.5% (95% interval 57.7 to 65.3, 4 replicas); that of both " in text
    table = with_arm(TABLE, replace(TABLE.arm("words"), best_params=CHOICES["digits"]))
    assert "; that of words is the same as the own choice; that of both " in statements(table)[0]


def test_the_sentence_is_about_the_metric_that_the_study_is_about():
    assert "a test AUC of 85.5%" in statements(replace(TABLE, objective="val/auc"))[0]
    assert "a test accuracy of" in statements(replace(TABLE, objective="val/nll"))[0]


def test_the_search_of_a_group_is_described_once_per_member():
    text = statements(TABLE, "Search")
    assert (
        "Its search is shared by 2 datasets, on each of which every point is tried: the objective "
        "is the mean gain over Base in val/accuracy (both). Chosen: K = 2, α = 1." in text[5]
    )
    assert not any("mean gain" in text for text in text[:5])
