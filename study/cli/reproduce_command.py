"""``reproduce``: a table or figure of the papers as a study, beside the printed numbers."""

from __future__ import annotations

from typing import Any

import click

from study.cli.options import options, running_options
from study.cli.outcome import make_console, print_table, show_outcome


@click.command("reproduce")
@click.argument("name")
@click.option(
    "--scale",
    type=click.Choice(["smoke", "small", "full"]),
    default="small",
    show_default=True,
    help="smoke: minutes on 2 cores; small: an hour or two; full: the paper's setting, for a GPU.",
)
@running_options
def command(name: str, scale: str, **given: Any) -> int:  # noqa: ANN401 (click's parameters)
    """Run the table or figure NAME of the papers, and set our numbers beside the printed ones.

    The study is called NAME-SCALE and is a study like any other. What differs from the paper's
    setting stands beside every number. 'list presets' names all.
    """
    from study.reproduction import at_scale, load_preset
    from study.reproduction.running import run_reproduction

    preset = load_preset(name)
    settings = options(**given)
    console = make_console()
    result, tables = run_reproduction(preset, at_scale(preset, scale), scale, settings, console)
    for table in tables:
        print_table(table, console)
    return show_outcome(result, settings, console)
