"""Terminal output: tables, and the result of a run."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from study.cli.options import command_line, relative_path
from study.records.errors import ReportError, mask_passwords
from study.records.escaping import visible

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
# Names of rows are folded to this before a table that is too wide is laid on its side.
_NAME_WIDTH = 10


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
        console.print(Text.assemble(("problem:", "red"), f" {visible(problem)}"), soft_wrap=True)
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
    """Print a row per arm with its differences, what was chosen, and the verdict last.

    Without a test result there is no row, and the verdict says why.
    """
    from study.report.terminal_summary import chosen_lines, result_tables
    from study.report.verdict import verdict

    with suppress(ReportError):
        for one in result_tables(table):
            print_table(one, console)
    for line in chosen_lines(table):
        print_plain(console, f"chosen by {line}")
    found = verdict(table)
    for line in (*found.cautions, *found.lines):
        print_plain(console, line)


def print_table(table: TextTable, console: Console) -> None:
    """Print a table of text with title and note, transposed where it is too wide.

    Texts are no rich markup: units such as ``[nats]`` are printed.
    """
    lines = [table.columns, *table.rows]
    shown = _build_table(table, lines)
    unbounded = console.options.update(width=_UNLIMITED_WIDTH)

    def is_too_wide(shown: Table) -> bool:
        return Measurement.get(console, unbounded, shown).maximum > console.width

    is_numeric = (
        max(map(len, (cell for row in table.rows for cell in row)), default=0) < _WRAP_WIDTH
    )
    if is_numeric and is_too_wide(shown):
        shown = _build_table(table, lines, name_width=_NAME_WIDTH)
        if is_too_wide(shown):
            shown = _build_table(table, list(zip(*lines, strict=True)))
    if console.is_terminal:
        console.print(shown)
        return
    # A log is not padded to the width of its longest line.
    with console.capture() as captured:
        console.print(shown)
    for line in captured.get().splitlines():
        print_plain(console, line.rstrip())


def _build_table(
    table: TextTable, lines: Sequence[Sequence[str]], *, name_width: int | None = None
) -> Table:
    head, *rows = lines
    shown = Table(
        title=Text(visible(table.title), style="table.title"),
        caption=Text(visible(table.note), style="table.caption"),
        title_justify="left",
        caption_justify="left",
        pad_edge=False,
    )
    for i, column in enumerate(head):
        is_text = i == 0 or any(len(row[i]) >= _WRAP_WIDTH for row in rows)
        # An interval is never broken; a name may be.
        shown.add_column(
            Text(visible(column)),
            justify="left" if is_text else "right",
            no_wrap=not is_text,
            overflow="fold",
            max_width=name_width if i == 0 else None,
        )
    for row in rows:
        shown.add_row(*(Text(visible(cell)) for cell in row))
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
    """Print a text without markup, highlighting, wrapping or control characters."""
    console.print(visible(text), markup=False, highlight=False, soft_wrap=True)


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
