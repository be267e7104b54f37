"""What the terminal shows at the end of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from study.cli.options import own_command
from study.tracking.address import masked

if TYPE_CHECKING:
    from study.options import Options
    from study.report.tables import Table as TextTable
    from study.runner import RunResult
    from study.trial_table import TrialTable

# A pipe has no width of its own, and a wrapped table cannot be read by a program.
_PIPE_WIDTH = 220
_UNBOUNDED = 10_000
# Prose in a cell wraps well where it is; numbers do not.
_LONG = 80


def make_console(*, stderr: bool = False) -> Console:
    """Make the console of a command."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=_PIPE_WIDTH)


def show_outcome(result: RunResult, options: Options, console: Console) -> int:
    """Print the result of a run, its last two lines the report and MLflow; gives the exit code."""
    name = result.table.study
    if not result.is_finished:
        resume = own_command(f"resume {name}", options.storage)
        _say(console, f"interrupted; nothing is lost. Go on with: {resume}")
        return 130
    if result.report is not None:
        show_results(result.table, console)
    for problem in result.problems:
        console.print(Text.assemble(("problem:", "red"), f" {problem}"), soft_wrap=True)
    _say_waiting(result, options, console)
    if result.report is not None:
        _say(console, f"report: {_short(result.report)}")
    _say(console, f"mlflow: {tracking_place(options)}")
    return 1 if result.problems else 0


def tracking_place(options: Options) -> str:
    """Say where MLflow is: the server without its password, or the command that opens one."""
    if options.tracking_uri:
        return masked(options.tracking_uri)
    return own_command("mlflow", options.storage)


def show_results(table: TrialTable, console: Console) -> None:
    """Print the comparison of the arms and the chosen parameters."""
    from study.report.tables import comparison_table, difference_table
    from study.sensitivity import compare, settings

    comparison = compare(table)
    for setting in settings(table):
        print_table(comparison_table(comparison, setting), console)
        differences = difference_table(comparison, setting)
        if differences.rows:
            print_table(differences, console)


def print_table(table: TextTable, console: Console) -> None:
    """Print a table of text with its title and note; on its side where it is too wide."""
    lines = [table.columns, *table.rows]
    shown = _drawn(table, lines)
    unbounded = console.options.update(width=_UNBOUNDED)
    is_numeric = max(map(len, (cell for row in table.rows for cell in row)), default=0) < _LONG
    if is_numeric and Measurement.get(console, unbounded, shown).maximum > console.width:
        shown = _drawn(table, list(zip(*lines, strict=True)))
    console.print(shown)


def _drawn(table: TextTable, lines: Sequence[Sequence[str]]) -> Table:
    head, *rows = lines
    shown = Table(
        title=table.title, caption=table.note, title_justify="left", caption_justify="left"
    )
    for i, column in enumerate(head):
        is_prose = any(len(row[i]) >= _LONG for row in rows)
        shown.add_column(column, justify="left" if i == 0 or is_prose else "right")
    for row in rows:
        shown.add_row(*row)
    return shown


def _say_waiting(result: RunResult, options: Options, console: Console) -> None:
    waiting = result.waiting
    if waiting.entries:
        again = own_command(f"resume {result.table.study}", options.storage)
        _say(
            console,
            f"MLflow has not taken {waiting.entries} entries ({waiting.last_error or 'no answer'})"
            f"; nothing is lost. When it answers, deliver them with: {again}",
        )
    if waiting.rejected:
        _say(console, f"MLflow refused {waiting.rejected} entries: {waiting.last_rejection}")


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
