"""Commands on what a study keeps: repair, delete."""

from __future__ import annotations

from typing import Any

import click

from study.cli.console import make_console, print_plain
from study.cli.options import (
    database_option,
    make_storage,
    running_options,
    storage_option,
    study_options,
    tracking_option,
)
from study.cli.run_commands import run_text


@click.command("repair")
@click.argument("name")
@running_options
def repair_command(name: str, **params: Any) -> int:  # noqa: ANN401 (click's parameters)
    """Repair the study NAME after damage to its files or its database, and finish it.

    Rows of the database that are missing or wrong are restored from the result files. A trial
    whose files are damaged or gone is trained again at the same point, with the same seeds.
    """
    from study.engine.repair import repair_study

    settings = study_options(**params)
    console = make_console()

    def notify(line: str) -> None:
        print_plain(console, line)

    text = repair_study(name, settings, notify, notify)
    folder = make_storage(params["storage"]).study(name)
    return run_text(text, str(folder.spec), folder.plugins, **params)


@click.command("delete")
@click.argument("name")
@click.option("--yes", "is_confirmed", is_flag=True, help="Do not ask.")
@tracking_option
@database_option
@storage_option
def delete_command(name: str, is_confirmed: bool, **params: Any) -> int:  # noqa: ANN401
    """Delete the study NAME: its folder, its trials in the database, its experiment in MLflow.

    A study that a process runs is not deleted.
    """
    from study.engine.deletion import delete_study

    settings = study_options(data_root=None, **params)
    if not is_confirmed:
        click.confirm(f"Delete study {name} and all of its results?", abort=True, err=True)
    for line in delete_study(name, settings):
        click.echo(f"deleted: {line}")
    return 0
