"""``python -m tests.faults``: a study under injected faults, and an audit of its records."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from study.cli.console import make_console
from study.cli.main import main
from tests.support.command_line import database_kind_option

if TYPE_CHECKING:
    from tests.faults.checks import Check
    from tests.faults.event_log import FaultCosts
    from tests.faults.run import FaultRunResult


PROGRAM: Final = "python -m tests.faults"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--minutes",
    type=click.FloatRange(min=0.5),
    default=3.0,
    show_default=True,
    help="How long faults are injected; all kinds occur in 3 minutes.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Chooses kinds and times of faults."
)
@database_kind_option
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Empty folder that keeps everything; default: a temporary one, kept if anything differs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the audit as JSON.")
def command(minutes: float, seed: int, database: str, folder: Path | None, as_json: bool) -> int:
    """Run a study while its parts are killed at random, and audit the result.

    Trials, nodes, drivers, MLflow and the database of a small study on this machine are killed
    and started again. In the end every trial must have been asked and told once, with every epoch
    once and the numbers of an undisturbed one, and MLflow must hold the same. Exit code 1 if
    anything differs. It kills its own processes alone.
    """
    from tests.faults.run import FaultRunConfig, run_faults

    console = make_console()
    root = _root(folder)
    config = FaultRunConfig(root=root, seconds=60 * minutes, seed=seed, database=database)
    # Results alone go to stdout where a program reads them.
    events = Console(stderr=True) if as_json else console
    is_kept = True
    try:
        result = run_faults(
            config, lambda line: events.print(line, markup=False, highlight=False, soft_wrap=True)
        )
        is_kept = folder is not None or not result.is_clean
    finally:
        if is_kept:
            click.echo(f"everything is kept in {root}", err=True)
        else:
            shutil.rmtree(root, ignore_errors=True)
    _show(result, console, as_json=as_json)
    return 0 if result.is_clean else 1


def _root(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise click.UsageError(f"--folder must name an empty folder, but {folder} holds something")
    return folder.absolute()


def _show(result: FaultRunResult, console: Console, *, as_json: bool) -> None:
    if as_json:
        content = {"is_clean": result.is_clean, **dataclasses.asdict(result)}
        click.echo(json.dumps(content, indent=2))
        return
    console.print(_audit(result.checks))
    console.print(_faults_table(result.costs))
    console.print(_work(result.costs), markup=False, highlight=False, soft_wrap=True)
    bad = sum(not check.is_ok for check in result.checks)
    output = f"{bad} of {len(result.checks)} checks failed" if bad else "nothing differs"
    console.print(output, markup=False, highlight=False)


def _audit(checks: tuple[Check, ...]) -> Table:
    table = Table("", "check", "expected", "found", title="Audit", title_justify="left")
    for check in checks:
        mark = Text("✓", "green") if check.is_ok else Text("✗", "red")
        # Found texts hold lists in brackets, which are no markup.
        table.add_row(mark, *map(Text, (check.name, check.expected, check.found)))
    return table


def _faults_table(costs: FaultCosts) -> Table:
    table = Table("fault", "injected", "survived", "skipped", title="Faults", title_justify="left")
    for kind, counts in costs.faults.items():
        table.add_row(kind, str(counts.done), str(counts.survived), str(counts.skipped))
    return table


def _work(costs: FaultCosts) -> str:
    return (
        f"{costs.trials} trials in {costs.attempts} attempts ({costs.most_attempts} at the "
        f"most for one), {costs.driver_starts} starts of the driver; {costs.epochs_redone} of "
        f"{costs.epochs} epochs were trained again ({costs.redone_share:.1%})"
    )


if __name__ == "__main__":
    main(command, PROGRAM)
