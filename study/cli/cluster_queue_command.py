"""``cluster queue``: how several studies share a cluster."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from study.cli.options import without_ray_client
from study.cli.outcome import make_console
from study.cli.remote import ask_cluster, is_remote

if TYPE_CHECKING:
    from cluster.queue import QueueRow


@click.command("queue", short_help="Show how studies share a cluster.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option(
    "--address",
    metavar="ADDRESS",
    envvar=["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"],
    callback=without_ray_client,
    default="auto",
    show_default=True,
    help="A dashboard, such as http://10.0.0.1:8265, or Ray's head, such as 10.0.0.1:6379.",
)
def command(as_json: bool, address: str) -> int:
    """Show which studies share a cluster, in their order, and how many trials each may have."""
    rows = queue_of(address)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))
    elif rows:
        make_console().print(queue_table(rows))
    else:
        click.echo("no study has come to the queue.")
    return 0


def queue_of(address: str) -> tuple[QueueRow, ...]:
    """Give the queue of a cluster, whichever of its addresses is known.

    Raises:
        ClusterError: If the cluster does not answer.
    """
    from cluster.queue import QueueRow, look

    if not is_remote(address):
        return look(address)
    said = json.loads(ask_cluster(address, ["cluster", "queue", "--json"]))
    return tuple(QueueRow(**row) for row in said)


def queue_table(rows: tuple[QueueRow, ...]) -> Table:
    """Draw the queue."""
    table = Table("study", "priority", "runs", "may run", "wants", title="Queue of trials")
    for row in rows:
        counts = (row.priority, row.running, row.granted, row.wanted)
        table.add_row(Text(row.study), *map(str, counts))
    return table
