"""``stop``: end a study's driver on a cluster, so that the study can go on later."""

from __future__ import annotations

from typing import Final

import click

from study.cli.outcome import make_console
from study.cli.remote import cluster_option

# A driver leaves within ten seconds; Ray kills it after thirty.
_PATIENCE_S: Final = 60.0


@click.command("stop")
@click.argument("name")
@cluster_option(required=True)
def command(name: str, address: str) -> int:
    """Stop the study NAME on the cluster: its trials write their checkpoints.

    A study that runs in a terminal is stopped by Ctrl-C there.
    """
    from cluster.errors import ClusterError
    from cluster.jobs import Jobs
    from study.remote.studies import latest, stop

    jobs = Jobs(address)
    if latest(jobs, name).has_ended:
        click.echo(f"study {name} is not running.")
        return 0
    with make_console(stderr=True).status(f"stopping {name} …"):
        job = stop(jobs, name, _PATIENCE_S)
    if not job.has_ended:
        raise ClusterError(
            f"job {job.name} must end within {_PATIENCE_S:.0f} s of being stopped, but did not; "
            "look at its logs."
        )
    click.echo(f"study {name} is stopped. Go on with: resume {name} --address {address}")
    return 0
