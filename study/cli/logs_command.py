"""``logs``: what a study's driver on a cluster has written."""

from __future__ import annotations

from functools import partial

import click

from study.cli.remote import cluster_option, exit_code


@click.command("logs")
@click.argument("name")
@click.option("-f", "--follow", "does_follow", is_flag=True, help="Go on until the study ends.")
@cluster_option(required=True)
def command(name: str, does_follow: bool, address: str) -> int:
    """Show what the driver of the study NAME has written on the cluster.

    With -f the exit code is the study's own. Ctrl-C ends the listening, not the study.
    """
    from cluster.jobs import Jobs
    from study.remote.studies import follow, latest

    jobs = Jobs(address)
    if not does_follow:
        click.echo(jobs.said(latest(jobs, name).name), nl=False)
        return 0
    return exit_code(follow(jobs, name, partial(click.echo, nl=False)))
