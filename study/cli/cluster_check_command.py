"""The command ``cluster check``: is the service of ``cluster up`` closed to other accounts?"""

from __future__ import annotations

from pathlib import Path

import click

from study.cli.options import make_storage, storage_option


@click.command("check", short_help="Check that other accounts cannot reach the service.")
@storage_option
def cluster_check_command(storage: Path) -> int:
    """Check owners and modes of the service's files, its ports, and what its servers require.

    Exit code 0 if all of it is safe, 1 if something is not, 2 if there is no service.
    """
    from cluster.service import ServiceFolder
    from cluster.service.checking import check_service

    place = make_storage(storage)
    found = check_service(ServiceFolder(root=place.service))
    if not found:
        click.echo(f"no service runs for {place.root}; 'cluster up' starts one.", err=True)
        return 2
    for each in found:
        mark = "✓" if each.fault is None else "✗"
        click.echo(f"{mark} {each.what}: {', '.join(filter(None, (each.state, each.fault)))}")
    return int(any(each.fault is not None for each in found))
