"""``report``: write a study's figures, tables and page anew."""

from __future__ import annotations

from typing import Any

import click

from study.cli.options import (
    database_option,
    options,
    storage_option,
    tracking_option,
)
from study.cli.outcome import make_console, show_results, tracking_place


@click.command("report")
@click.argument("name")
@tracking_option
@database_option
@storage_option
def command(name: str, **given: Any) -> int:  # noqa: ANN401 (click's parameters)
    """Write the report of the study NAME anew and deliver it to MLflow.

    A study that runs or was interrupted is reported as it stands; what is missing is named.
    """
    from study.review import rewrite_report

    settings = options(data_root=None, **given)
    console = make_console()
    table, page = rewrite_report(name, settings, console)
    show_results(table, console)
    click.echo(f"report: {page}")
    click.echo(f"mlflow: {tracking_place(settings)}")
    return 0
