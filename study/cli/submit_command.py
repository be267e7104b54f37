"""``submit``: run a study on a cluster that this machine is no part of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from study.cli.options import database_option, tracking_option
from study.cli.remote import await_driver, cluster_option, sent_places


@click.command("submit")
@click.argument("file", metavar="STUDY.yaml", type=click.Path(path_type=Path))
@click.option("--no-wait", is_flag=True, help="Do not wait until the trials begin.")
@cluster_option(required=True)
@tracking_option
@database_option
@click.option("--data-root", help="Folder with datasets on the cluster's machines.")
@click.option(
    "--storage",
    help="Folder that all machines of the cluster share; default: CHALLENGER_STORAGE of its head.",
)
def command(file: Path, address: str, no_wait: bool, **_: Any) -> int:  # noqa: ANN401 (click's)
    """Run the study of a file on the Ray cluster at --address.

    The study's driver runs there, with this program's code; it goes on when this machine is
    switched off. The same command again goes on where the study stands. What is not in order on
    the cluster is said before the first trial begins.
    """
    from cluster.jobs import Jobs
    from study.remote.studies import submit
    from study.spec import parse, read_text

    text = read_text(file)
    study = parse(text, str(file)).name
    name = submit(Jobs(address), study, text, sent_places())
    if no_wait:
        click.echo(name)
        return 0
    return await_driver(address, study, name)
