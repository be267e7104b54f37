"""Terminal output and exit code of a run."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from study.cli.console import make_console, print_table, show_result, show_results
from study.config.run_options import RunOptions
from study.engine.run import RunResult
from study.report.formatting import format_interval
from study.report.tables import Table
from study.report.verdict import verdict
from study.sensitivity import compare
from study.storage.layout import StorageRoot
from study.tracking.outbox import PendingRecords
from tests.support.trial_tables import TableShape, make_trial_table


@pytest.fixture
def result(tmp_path) -> RunResult:
    return RunResult(
        table=make_trial_table(TableShape(replicas=3, layers=1, search_trials=4)),
        is_finished=True,
        problems=(),
        report=tmp_path / "challenger-studies" / "x" / "report" / "index.html",
        pending=PendingRecords(),
    )


def ended(result: RunResult, tracking_uri: str | None = None) -> tuple[int, list[str]]:
    options = RunOptions(
        storage=StorageRoot(root=Path("challenger-studies").absolute()), tracking_uri=tracking_uri
    )
    console = Console(file=io.StringIO(), width=220)
    code = show_result(result, options, console)
    return code, console.file.getvalue().splitlines()


def test_a_finished_study_ends_with_0_the_comparison_its_report_and_mlflow(result):
    code, lines = ended(result)
    assert code == 0
    assert lines[-2:] == [
        "report: challenger-studies/x/report/index.html",
        "mlflow: challenger-study mlflow",
    ]
    assert any("Challenger" in line for line in lines)
    found = verdict(result.table)
    assert lines[-4:-2] == [found.finding, found.sensitivity]


def test_results_without_a_test_metric_are_the_verdict_with_its_reason(result):
    """No arm of a study that goes on, or evaluates no test samples, has a row yet."""
    rows = tuple(row for row in result.table.rows if row.phase == "search")
    code, lines = ended(replace(result, table=replace(result.table, rows=rows)))
    assert code == 0
    assert not any(line.startswith("│") for line in lines)
    assert lines[-3].startswith("No test result yet: study ")


def test_results_fit_80_columns_with_a_row_per_arm_and_no_broken_interval(result):
    console = Console(file=io.StringIO(), width=80)
    show_results(result.table, console)
    lines = console.file.getvalue().splitlines()
    table = [line for line in lines if line.startswith(("┃", "│", "┏", "└"))]
    assert max(map(len, table)) <= 80
    (row,) = [line for line in table if "Challenger" in line]
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    found = compare(result.table).row("challenger").get("test/accuracy")
    assert cells[:2] == ["Challenger", format_interval(found.interval, "test/accuracy")]
    assert cells[2].endswith("]*")
    assert any(line.endswith("; n = 3") for line in lines)
    assert not any(line.endswith(" ") for line in lines)
    assert any(line.startswith("chosen by Challenger: K = 5, N = 0.12") for line in lines)


def test_the_tracking_server_is_named_without_its_password(result):
    assert ended(result, "http://host:5000")[1][-1] == "mlflow: http://host:5000"
    with_password = "http://me:secret@host:5000"
    assert ended(result, with_password)[1][-1] == "mlflow: http://me:***@host:5000"


def test_a_study_with_a_failure_ends_with_1_and_the_problem(result):
    code, lines = ended(replace(result, problems=("x/search/2 failed: [red] is no markup",)))
    assert code == 1
    assert "problem: x/search/2 failed: [red] is no markup" in lines


def test_an_interrupted_study_ends_with_130_and_how_to_go_on(result):
    code, lines = ended(replace(result, is_finished=False, report=None))
    assert (code, lines) == (
        130,
        [
            "interrupted; nothing is lost. Resume with: challenger-study resume tiny-mnist-top-k",
        ],
    )


def test_unsent_records_are_named_without_failing_the_study(result):
    pending = PendingRecords(
        records=7, last_error="no route", rejected=2, last_rejection="name too long"
    )
    code, lines = ended(replace(result, pending=pending))
    assert code == 0
    assert lines[-4:-2] == [
        "MLflow has not taken 7 records (no route); nothing is lost. Send them later with: "
        "challenger-study resume tiny-mnist-top-k",
        "MLflow refused 2 records: name too long",
    ]


def test_a_pipe_gets_wide_tables_that_are_not_wrapped():
    assert make_console().width == 220


def printed(width: int) -> list[str]:
    table = Table(
        title="A title",
        columns=("Arm", "Accuracy", "AUC", "Brier score"),
        rows=(("Base", "64.1 [62.2, 65.9]", "0.92", "0.056"), ("Random", "59.2", "0.91", "0.06")),
        note="",
    )
    console = Console(file=io.StringIO(), width=width)
    print_table(table, console)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_a_table_that_is_too_wide_for_the_terminal_is_laid_on_its_side():
    assert "│Base │ 64.1 [62.2, 65.9] │ 0.92 │ 0.056│" in printed(49)
    on_its_side = printed(48)
    assert "┃Arm ┃ Base ┃ Random┃" in on_its_side
    assert "│Accuracy │ 64.1 [62.2, 65.9] │ 59.2│" in on_its_side


def test_brackets_are_text_and_no_markup():
    table = Table(
        title="[red] title", columns=("Arm", "NLL [nats]"), rows=(("[bold]", "1"),), note="[%]"
    )
    console = Console(file=io.StringIO(), width=80)
    print_table(table, console)
    output = console.file.getvalue()
    assert all(text in output for text in ("[red] title", "NLL [nats]", "[bold]", "[%]"))
