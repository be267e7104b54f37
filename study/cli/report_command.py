"""``report``: write a study's figures, tables and page anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from study.cli.options import (
    database_option,
    options,
    storage_option,
    tracking_option,
)
from study.cli.outcome import make_console, show_results, tracking_place
from study.cli.remote import ask_cluster, cluster_option, sent_places

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
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, file_okay=False),
    help="With --address: folder for a copy of the report; default: NAME-report.",
)
@click.option("--packed", is_flag=True, hidden=True, help="Print the report's files as text.")
@cluster_option(required=False)
@tracking_option
@database_option
@storage_option
def command(
    name: str,
    *,
    insist: bool,
    page_format: PageFormat,
    target: Path | None,
    packed: bool,
    address: str | None,
    **given: Any,  # noqa: ANN401 (click's parameters)
) -> int:
    """Write the report of the study NAME anew and deliver it to MLflow.

    A study that runs or was interrupted is reported as it stands; what is missing is named.
    With --address this is done on the cluster, and the report is brought here.
    """
    if address is not None:
        return _fetch(name, address, target or Path(f"{name}-report"), insist, page_format)
    from study.review import rewrite_report

    settings = options(data_root=None, **given)
    console = make_console()
    table, page = rewrite_report(name, settings, console, insist=insist, page_format=page_format)
    show_results(table, console)
    click.echo(f"report: {page}")
    click.echo(f"mlflow: {tracking_place(settings)}")
    if packed:
        from study.remote.archive import pack

        click.echo(pack(page.parent))
    return 0


def _fetch(name: str, address: str, folder: Path, insist: bool, page_format: str) -> int:
    """Let the cluster write the report, and bring it here."""
    from study.remote.archive import unpack, without_archive

    asked = ["--insist"] if insist else []
    asked += ["--format", page_format, *sent_places()]
    said = ask_cluster(address, ["report", name, "--packed", *asked])
    unpack(said, folder)
    click.echo(without_archive(said).strip())
    click.echo(f"copy: {folder / 'report.html'}")
    return 0
