"""``report``: write a study's figures, tables and page anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from study.cli.options import (
    database_option,
    options,
    storage_option,
    tracking_option,
)
from study.cli.outcome import make_console, show_results, tracking_place

if TYPE_CHECKING:
    from study.report import PageFormat


@click.command("report")
@click.argument("name")
@click.option(
    "--insist",
    is_flag=True,
    help="Show what matters over the whole space even where the sampler looked at results; "
    "marked as biased.",
)
@click.option(
    "--format",
    "page_format",
    type=click.Choice(["html", "md"]),
    default="html",
    show_default=True,
    help="What to name in the end: the page, or the report as Markdown for a pull request, "
    "which is written beside it.",
)
@tracking_option
@database_option
@storage_option
def command(
    name: str,
    *,
    insist: bool,
    page_format: PageFormat,
    **given: Any,  # noqa: ANN401 (click's parameters)
) -> int:
    """Write the report of the study NAME anew and deliver it to MLflow.

    A study that runs or was interrupted is reported as it stands; what is missing is named.
    """
    from study.review import rewrite_report

    settings = options(data_root=None, **given)
    console = make_console()
    table, page = rewrite_report(name, settings, console, insist=insist, page_format=page_format)
    show_results(table, console)
    click.echo(f"report: {page}")
    click.echo(f"mlflow: {tracking_place(settings)}")
    return 0
