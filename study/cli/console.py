"""Terminal output: tables, and the result of a run."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from study.cli.options import command_line, relative_path
from study.records.errors import mask_passwords

if TYPE_CHECKING:
    from study.config.run_options import RunOptions
    from study.engine.run import RunResult
    from study.records.trial_table import TrialTable
    from study.report.tables import Table as TextTable

# A pipe has no width, and programs cannot parse a wrapped table.
_PIPE_WIDTH = 220
_UNLIMITED_WIDTH = 10_000
# Longer cells are sentences, which may wrap; numbers may not.
_WRAP_WIDTH = 80


def make_console(*, stderr: bool = False) -> Console:
    """Return the console of a command, with a fixed width for a pipe."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=_PIPE_WIDTH)


def show_result(result: RunResult, options: RunOptions, console: Console) -> int:
    """Print the result of a run with the report and MLflow last; return the exit code."""
    name = result.table.study
    if not result.is_finished:
        resume = command_line(f"resume {name}", options.storage)
        print_plain(console, f"interrupted; nothing is lost. Resume with: {resume}")
        return 130
    if result.report is not None:
        show_results(result.table, console)
    for problem in result.problems:
        console.print(Text.assemble(("problem:", "red"), f" {problem}"), soft_wrap=True)
    _print_unsent(result, options, console)
    if result.report is not None:
        print_plain(console, f"report: {relative_path(result.report)}")
    print_plain(console, f"mlflow: {tracking_location(options)}")
    return 1 if result.problems else 0


def tracking_location(options: RunOptions) -> str:
    """Return MLflow's server without its password, or the command that starts one."""
    if options.tracking_uri:
        return mask_passwords(options.tracking_uri)
    return command_line("mlflow", options.storage)


def show_results(table: TrialTable, console: Console) -> None:
    """Print the comparison of the arms and the chosen parameters."""
    from study.report.tables import comparison_table, difference_table
    from study.sensitivity import compare, workloads

    comparison = compare(table)
    for workload in workloads(table):
        print_table(comparison_table(comparison, workload), console)
        differences = difference_table(comparison, workload)
        if differences.rows:
            print_table(differences, console)


def print_table(table: TextTable, console: Console) -> None:
    """Print a table of text with title and note, transposed where it is too wide.

    Texts are no rich markup: units such as ``[nats]`` are printed.
    """
    lines = [table.columns, *table.rows]
    shown = _build_table(table, lines)
    unbounded = console.options.update(width=_UNLIMITED_WIDTH)
    is_numeric = (
        max(map(len, (cell for row in table.rows for cell in row)), default=0) < _WRAP_WIDTH
    )
    if is_numeric and Measurement.get(console, unbounded, shown).maximum > console.width:
        shown = _build_table(table, list(zip(*lines, strict=True)))
    console.print(shown)


def _build_table(table: TextTable, lines: Sequence[Sequence[str]]) -> Table:
    head, *rows = lines
    shown = Table(
        title=Text(table.title, style="table.title"),
        caption=Text(table.note, style="table.caption"),
        title_justify="left",
        caption_justify="left",
    )
    for i, column in enumerate(head):
        is_prose = any(len(row[i]) >= _WRAP_WIDTH for row in rows)
        shown.add_column(Text(column), justify="left" if i == 0 or is_prose else "right")
    for row in rows:
        shown.add_row(*map(Text, row))
    return shown


def _print_unsent(result: RunResult, options: RunOptions, console: Console) -> None:
    pending = result.pending
    if pending.records:
        again = command_line(f"resume {result.table.study}", options.storage)
        print_plain(
            console,
            f"MLflow has not taken {pending.records} records ({pending.last_error or 'no answer'})"
            f"; nothing is lost. Send them later with: {again}",
        )
    if pending.rejected:
        print_plain(
            console, f"MLflow refused {pending.rejected} records: {pending.last_rejection}"
        )


def print_plain(console: Console, text: str) -> None:
    """Print a text without markup, highlighting or wrapping."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def is_private_output() -> bool:
    """Return whether standard output is a terminal, a pipe, or a file for its owner alone.

    A file that others may read is a log, in which no password belongs.
    """
    try:
        mode = os.fstat(sys.stdout.fileno()).st_mode
    except (OSError, ValueError):
        return False
    if stat.S_ISCHR(mode):
        return sys.stdout.isatty()
    return stat.S_ISFIFO(mode) or (stat.S_ISREG(mode) and not mode & 0o077)
