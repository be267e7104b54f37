"""``cluster down``: end what ``cluster up`` has started."""

from __future__ import annotations

from pathlib import Path

import click

from study.cli.options import storage_of, storage_option


@click.command("down", short_help="End what 'cluster up' has started.")
@storage_option
def command(storage: Path) -> int:
    """End what 'cluster up' has started, also after a crash; results stay.

    Running studies are asked to stop first and can be resumed.
    """
    from cluster.service import ServiceFolder, end_service

    place = storage_of(storage)
    ended = end_service(ServiceFolder(root=place.service), _progress)
    if ended:
        click.echo(f"ended: {', '.join(ended)}.")
    else:
        click.echo(f"nothing to end: no service runs for {place.root}.")
    return 0


def _progress(line: str) -> None:
    click.echo(f"… {line}", err=True)
